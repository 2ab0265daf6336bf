#!/bin/bash
#SBATCH --gres=gpu:4
torchrun --nproc_per_node=$SLURM_GPUS_ON_NODE t.py
