#!/bin/bash
#SBATCH --gres=gpu:1
# sbatch this.sh
echo "usage: sbatch this.sh"
python train.py
