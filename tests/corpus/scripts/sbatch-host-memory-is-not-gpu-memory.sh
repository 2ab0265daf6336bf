#!/bin/bash
#SBATCH --mem=100G --mem-per-gpu=40G --gpus=1
python t.py
