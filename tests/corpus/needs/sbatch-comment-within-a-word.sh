#!/bin/bash
#SBATCH --gpus=2#4 --gpus=8
python t.py
