#!/bin/bash
#SBATCH --exclusive --gpus=4
#SBATCH --nice --time=5
#SBATCH --requeue -G2
python t.py
