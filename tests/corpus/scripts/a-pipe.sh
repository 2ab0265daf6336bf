torchrun --nproc_per_node 4 t.py 2>&1 | tee log
