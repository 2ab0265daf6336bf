torchrun --nproc_per_node 5000 t.py
