#!/bin/bash
#SBATCH --gpus=v100
python t.py
