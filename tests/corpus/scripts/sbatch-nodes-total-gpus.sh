#!/bin/bash
#SBATCH --nodes=2 --gpus=16
srun torchrun --nnodes $SLURM_NNODES --nproc_per_node 8 t.py
