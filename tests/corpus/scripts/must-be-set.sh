X=4
torchrun --nproc_per_node ${X:?say it} t.py
