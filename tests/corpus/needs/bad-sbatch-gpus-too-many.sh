#!/bin/bash
#SBATCH --gpus=1025
python t.py
