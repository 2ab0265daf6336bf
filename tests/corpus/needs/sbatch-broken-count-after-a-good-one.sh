#!/bin/bash
#SBATCH --gpus=2
#SBATCH --gpus=$N
python t.py
