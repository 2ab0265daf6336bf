#!/bin/bash
#SBATCH --gpus-per-node=4
deepspeed --num_gpus $SLURM_GPUS_ON_NODE t.py
