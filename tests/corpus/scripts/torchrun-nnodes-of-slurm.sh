#!/bin/bash
#SBATCH --nodes=1 --gres=gpu:4
torchrun --nnodes $SLURM_NNODES --nproc_per_node 4 t.py
