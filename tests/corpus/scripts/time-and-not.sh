if ! time torchrun --nproc_per_node 4 t.py; then exit 1; fi
