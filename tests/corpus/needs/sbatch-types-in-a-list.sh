#!/bin/bash
#SBATCH --gpus=a100:2,v100:1
python t.py
