#!/bin/bash
#SBATCH --nodes=2 --gres=gpu:2
export MASTER_PORT=$(shuf -i 10000-65000 -n 1)
srun python t.py
