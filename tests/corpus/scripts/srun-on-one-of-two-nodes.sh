#!/bin/bash
#SBATCH --nodes=2 --gres=gpu:8
head=$(srun --nodes=1 --ntasks=1 -w "$n" hostname --ip-address)
srun -N 2 torchrun --nnodes 2 --nproc_per_node 8 t.py
