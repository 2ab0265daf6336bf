#!/bin/bash -l
#SBATCH --nodes=4
#SBATCH --gres=gpu:8
#SBATCH --ntasks-per-node=8
srun python3 train.py --num_nodes 4 --devices 8
