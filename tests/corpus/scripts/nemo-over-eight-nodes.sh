#!/bin/bash
#SBATCH -A a -p batch -N 8
#SBATCH --ntasks-per-node=8 --gpus-per-node=8 --exclusive --mem=0 --overcommit
srun --mpi=pmix bash -c "python megatron_gpt_pretraining.py trainer.num_nodes=8 trainer.devices=8"
