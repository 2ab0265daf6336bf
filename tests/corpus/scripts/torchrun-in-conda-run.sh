conda run -n env --no-capture-output torchrun --nproc_per_node=4 t.py
