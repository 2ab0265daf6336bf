torchrun --nnodes=2 t.py
