python $(which torchrun) --nproc_per_node 4 t.py
