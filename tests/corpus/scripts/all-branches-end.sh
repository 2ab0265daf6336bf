if [ "$X" = a ]; then exec torchrun --nproc_per_node 2 a.py; else exit 1; fi
torchrun --nproc_per_node 8 t.py
