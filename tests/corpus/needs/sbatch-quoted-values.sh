#!/bin/bash
#SBATCH --gres="gpu:a100:4"
#SBATCH --time='2:00:00'
python t.py
