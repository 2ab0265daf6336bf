#!/bin/bash
#SBATCH --gres=gpu:3090:2
python t.py
