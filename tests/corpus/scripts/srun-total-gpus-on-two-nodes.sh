#!/bin/bash
#SBATCH --nodes=2
srun --gpus=16 python t.py
