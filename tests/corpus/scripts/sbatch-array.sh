#!/bin/bash
#SBATCH --array=0-9%2
#SBATCH --gpus=1
python t.py $SLURM_ARRAY_TASK_ID
