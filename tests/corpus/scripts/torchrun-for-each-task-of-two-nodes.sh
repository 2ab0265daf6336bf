#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=4
#SBATCH --gpus-per-task=2
srun torchrun --nnodes 4 --nproc_per_node 1 --rdzv_id $RANDOM --rdzv_backend c10d --rdzv_endpoint $h:29500 a.py
