#!/bin/bash
#SBATCH --job-name=tr7b-3B-ml-t0
#SBATCH --gres=gpu:8
python t.py
