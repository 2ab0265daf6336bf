set -- 4 x
torchrun --nproc_per_node $1 t.py
