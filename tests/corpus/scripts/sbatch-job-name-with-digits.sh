#!/bin/bash
#SBATCH --job-name=tr13f-6B3-ml-t0
#SBATCH --qos=qos_gpu-t3
#SBATCH --gres=gpu:1 --time=15:00:00
python t.py
