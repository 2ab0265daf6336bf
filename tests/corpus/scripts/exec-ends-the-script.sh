exec torchrun --nproc_per_node 2 t.py
torchrun --nproc_per_node 8 t.py
