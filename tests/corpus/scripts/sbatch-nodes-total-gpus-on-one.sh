#!/bin/bash
#SBATCH --nodes=2 --gpus=16
python t.py
