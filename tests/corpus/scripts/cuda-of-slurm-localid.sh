#!/bin/bash
#SBATCH --gres=gpu:4 --ntasks=4
srun bash -c 'CUDA_VISIBLE_DEVICES=$SLURM_LOCALID python t.py'
