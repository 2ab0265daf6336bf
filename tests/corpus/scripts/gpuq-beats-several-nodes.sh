#!/bin/bash
#GPUQ --gpus 4
#SBATCH --nodes=2 --gres=gpu:8
python t.py
