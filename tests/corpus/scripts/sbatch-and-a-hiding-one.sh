#!/bin/bash
#SBATCH --gpus=2
CUDA_VISIBLE_DEVICES= python prepare.py
python t.py
