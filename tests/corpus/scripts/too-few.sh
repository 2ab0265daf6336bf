torchrun --nproc_per_node 8 t.py
