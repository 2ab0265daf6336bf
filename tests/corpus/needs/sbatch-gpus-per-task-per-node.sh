#!/bin/bash
#SBATCH -N1 --ntasks-per-node=4 --gpus-per-task=1
python t.py
