#!/bin/bash
#SBATCH --gres=gpu:4
#SBATCH --gres=shard:1
torchrun --nproc_per_node 4 t.py
