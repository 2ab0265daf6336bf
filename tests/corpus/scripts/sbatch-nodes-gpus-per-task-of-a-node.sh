#!/bin/bash
#SBATCH --nodes=4 --ntasks-per-node=4 --gpus-per-task=1
srun python t.py
