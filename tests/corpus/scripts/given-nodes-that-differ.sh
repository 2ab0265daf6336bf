torchrun --nnodes=4 --nproc_per_node=2 t.py
