#!/bin/bash
#SBATCH --gres="gpu:a6000:4"
python t.py
