shift
torchrun --nproc_per_node $1 t.py
