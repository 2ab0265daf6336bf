#!/bin/bash
#SBATCH --job-name=x
#SBATCH --gres=gpu:a100:4
python t.py
