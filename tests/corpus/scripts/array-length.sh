IDS=(0 1 2)
torchrun --nproc_per_node ${#IDS[@]} t.py
