#!/bin/bash
#SBATCH --job-name='a # b' --gpus=2
#SBATCH -J \#3 -t 5
python t.py
