#!/bin/bash
#SBATCH --gres=gpu:a100
python t.py
