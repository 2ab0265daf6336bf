torchrun --nproc_per_node auto t.py
