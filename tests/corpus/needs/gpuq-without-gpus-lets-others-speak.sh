#GPUQ --memory 20G
torchrun --nproc_per_node=2 train.py
