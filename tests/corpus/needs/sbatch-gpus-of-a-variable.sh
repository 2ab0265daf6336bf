#!/bin/bash
#SBATCH --gpus=$N --gres=gpu:{n}
torchrun --nproc_per_node 4 t.py
