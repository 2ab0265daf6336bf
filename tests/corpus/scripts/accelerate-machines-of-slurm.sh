#!/bin/bash
#SBATCH --nodes=2
srun accelerate launch --num_processes $((SLURM_NNODES * 8)) --num_machines $SLURM_NNODES --machine_rank $SLURM_PROCID t.py
