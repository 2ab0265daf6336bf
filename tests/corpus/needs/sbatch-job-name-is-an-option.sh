#!/bin/bash
#SBATCH --job-name --gpus=8
python t.py
