#!/bin/bash
#SBATCH --gpus-per-task 1
#SBATCH -n8
python t.py
