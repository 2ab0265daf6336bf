#!/bin/bash
#SBATCH --gpus-per-node=4
#SBATCH --ntasks=2
#SBATCH --gpus-per-task=1
python t.py
