#!/bin/bash
#SBATCH --gpus=2 \
python t.py
