torchrun --nproc_per_node=${NGPU:-8} t.py
