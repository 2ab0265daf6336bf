torchrun --nproc_per_node=$((16 / 4)) t.py
