#!/bin/bash
#SBATCH --nodes=2 --gres=gpu:8
python t.py
