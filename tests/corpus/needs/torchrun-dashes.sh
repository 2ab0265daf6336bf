torchrun --standalone --nproc-per-node=8 t.py
