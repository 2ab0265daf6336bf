{ torchrun --nproc_per_node 4 t.py; } > log 2>&1
