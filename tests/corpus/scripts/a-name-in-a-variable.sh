BIG=4
N=BIG
torchrun --nproc_per_node ${!N} t.py
