#!/bin/bash
#SBATCH --gpus=4 -n 4
torchrun --nproc_per_node $SLURM_NTASKS t.py
