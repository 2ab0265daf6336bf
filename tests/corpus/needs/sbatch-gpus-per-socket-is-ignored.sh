#!/bin/bash
#SBATCH --gpus-per-socket=4
python t.py
