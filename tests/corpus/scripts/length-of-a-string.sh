A=abcd
torchrun --nproc_per_node ${#A} t.py
