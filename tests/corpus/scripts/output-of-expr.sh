torchrun --nproc_per_node $(expr 2 + 2) t.py
