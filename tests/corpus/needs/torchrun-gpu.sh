torchrun --nproc-per-node=gpu t.py
