#!/bin/bash
#SBATCH --gpus=2 -t 10
#SBATCH --gpus=4
#SBATCH -t20
python t.py
