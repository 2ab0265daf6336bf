#!/bin/bash
#SBATCH --exclusive=user --nice=-G9 --gpus=3
python t.py
