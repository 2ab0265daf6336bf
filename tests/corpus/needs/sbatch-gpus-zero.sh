#!/bin/bash
#SBATCH --gpus=0
python t.py
