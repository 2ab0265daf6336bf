N=x4
torchrun --nproc_per_node ${N#x} t.py
