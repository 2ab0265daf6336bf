NPROC_PER_NODE=8 torchrun --nproc_per_node 2 t.py
