#!/bin/bash
#SBATCH --nodes=2-4 --gpus-per-node=a100:4
python t.py
