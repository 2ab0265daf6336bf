#!/bin/bash
#SBATCH --partition=gpu-t4
#SBATCH --gpus=1
python t.py
