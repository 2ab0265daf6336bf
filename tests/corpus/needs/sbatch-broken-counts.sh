#!/bin/bash
#SBATCH --gpus= -G , --gres=gpu: --gpus-per-node=a100:
torchrun --nproc_per_node 4 t.py
