torchrun --nproc_per_node $(echo "2 * 4" | bc) t.py
