#!/bin/bash
#SBATCH --nodes=2 --ntasks=16 --gpus-per-task=1
srun python t.py
