#!/bin/bash
set -e
#SBATCH --gpus=8 -t 1
python t.py
