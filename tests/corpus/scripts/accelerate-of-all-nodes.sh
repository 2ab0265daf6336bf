#!/bin/bash
#SBATCH -N 2
#SBATCH --ntasks-per-node=1
export GPUS_PER_NODE=1
ALL=$(expr $SLURM_NNODES \* $GPUS_PER_NODE)
srun accelerate launch --config_file two.yaml --machine_rank $SLURM_PROCID --num_processes $ALL train.py
