[ $# -eq 0 ] && exit 1
torchrun --nproc_per_node 8 t.py
