#!/bin/bash
#SBATCH --gres=gpu:2
torchrun --nproc_per_node 4 t.py
