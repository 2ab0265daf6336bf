#!/bin/bash
#SBATCH --gpus 3 --time 1-00:00:00
python t.py
