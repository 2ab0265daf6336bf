#!/bin/bash
#SBATCH --gres=gpu=2,gpu:a100=1
python t.py
