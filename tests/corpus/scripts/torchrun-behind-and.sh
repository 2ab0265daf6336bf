cd src && torchrun --nproc_per_node=4 t.py || exit 1
