#!/bin/bash
#SBATCH --ntasks=4 --gpus-per-task=a100:2
python t.py
