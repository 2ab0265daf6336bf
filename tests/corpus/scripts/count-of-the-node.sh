N=$(nvidia-smi -L | wc -l)
torchrun --nproc_per_node $N t.py
