torchrun --standalone --nproc_per_node=gpu t.py
