#!/bin/bash
#SBATCH --ntasks=16 --ntasks-per-node=8 --gpus-per-node=8
srun python t.py
