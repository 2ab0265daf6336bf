#!/bin/bash
#SBATCH --gres=gpu_mem:40,mygpu:3
torchrun --nproc_per_node 4 t.py
