#!/bin/bash
#SBATCH --job-name=don't --gpus=8
#SBATCH --gpus=2
python t.py
