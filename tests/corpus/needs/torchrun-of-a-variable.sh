torchrun --nproc_per_node=$N t.py
torchrun --nproc_per_node=${N} t.py
