#!/bin/bash
#SBATCH --ntasks-per-node=1
#SBATCH --signal=SIGUSR1@90
srun python lightning_train.py
