#!/bin/bash
#SBATCH --gpus-per-task=2
python t.py
