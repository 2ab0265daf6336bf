#!/bin/bash
#SBATCH --gpus=2 # --gpus=8 is too many
#SBATCH -t 10 #-t 5
python t.py
