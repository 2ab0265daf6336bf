#!/bin/bash
#SBATCH --gpus-per-socket=a100:4
python t.py
