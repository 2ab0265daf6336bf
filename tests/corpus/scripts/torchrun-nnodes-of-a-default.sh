torchrun --nnodes ${WORLD_SIZE:-1} --nproc_per_node 8 t.py
