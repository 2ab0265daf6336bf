N=4
torchrun --nproc_per_node ${N[0]} t.py
