#!/bin/bash
#SBATCH --gpus=1
#SBATCH hetjob
#SBATCH --gpus=2
python t.py
