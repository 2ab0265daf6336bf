torchrun --nproc-per-node auto t.py
