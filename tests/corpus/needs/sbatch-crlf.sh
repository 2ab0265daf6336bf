#!/bin/bash
#SBATCH --gpus=2
#SBATCH --time=1:00:00
#SBATCH -J 'x'
python t.py
