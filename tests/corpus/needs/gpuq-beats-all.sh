#!/bin/bash
#SBATCH --gpus=8
#GPUQ --gpus 3
CUDA_VISIBLE_DEVICES=0,1 torchrun --nproc_per_node 2 t.py
