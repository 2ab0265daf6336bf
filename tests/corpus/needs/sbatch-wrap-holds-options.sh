#!/bin/bash
#SBATCH --wrap='srun --gpus 8 -t 1 x'
python t.py
