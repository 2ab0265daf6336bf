#!/bin/bash
##SBATCH --gpus=8
# SBATCH --gpus=8
#sbatch -t 1
#SBATCH -G 2
python t.py
