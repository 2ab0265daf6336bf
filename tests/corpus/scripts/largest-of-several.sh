torchrun --nproc_per_node 2 a.py
torchrun --nproc_per_node 8 b.py
