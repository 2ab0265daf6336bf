#!/bin/bash
#SBATCH --gpus=2
CUDA_VISIBLE_DEVICES=0 python t.py
