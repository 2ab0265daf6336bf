f() { if [ "$1" = x ]; then return; fi; torchrun --nproc_per_node 8 t.py; }
f x
torchrun --nproc_per_node 2 t.py
