torchrun --nproc_per_node $(echo 4 | head -1) t.py
