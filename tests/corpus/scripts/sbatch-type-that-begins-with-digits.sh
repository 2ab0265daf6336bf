#!/bin/bash
#SBATCH --gpus=2080ti:1
python t.py
