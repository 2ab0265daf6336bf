#!/bin/bash
#SBATCH --gres=gpu:1
#SBATCH --time=1
#SBATCH --signal=B:USR1@60
python train.py
