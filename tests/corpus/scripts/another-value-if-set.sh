X=1
torchrun --nproc_per_node ${X:+8} t.py
