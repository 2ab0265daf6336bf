#!/bin/bash
#SBATCH --gpus=8
#GPUQ --gpus 3
CUDA_VISIBLE_DEVICES=$GPU torchrun --nproc_per_node 2 t.py
