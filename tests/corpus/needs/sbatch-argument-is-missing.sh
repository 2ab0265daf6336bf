#!/bin/bash
#SBATCH --account
#SBATCH --gpus=2
#SBATCH -J
#SBATCH -t
python t.py
