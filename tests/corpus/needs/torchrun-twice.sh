torchrun --nproc_per_node 2 warmup.py
torchrun --nproc_per_node=4 train.py && torchrun --nproc-per-node 3 eval.py
