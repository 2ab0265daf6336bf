N=84
torchrun --nproc_per_node ${N:1:1} t.py
