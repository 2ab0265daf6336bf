#!/bin/bash
#SBATCH --gpus=8
#SBATCH --gres=gpu:4
#SBATCH -G 2
python t.py
