#!/bin/bash
#SBATCH --gpus-per-task=8 --ntasks=99999999999999999999
python t.py
