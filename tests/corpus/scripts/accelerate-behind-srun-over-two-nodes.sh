#!/bin/bash
#SBATCH -N 2                # two
##SBATCH --cpus-per-task=1
#SBATCH --ntasks-per-node=1 # one
#SBATCH --gres=gpu:4        # of four
export GPUS=4
export NNODES=$SLURM_NNODES
export WORLD_SIZE=$(($GPUS*$NNODES))
srun bash -c "accelerate launch --num_processes $WORLD_SIZE --num_machines $NNODES --machine_rank \$SLURM_PROCID train.py"
