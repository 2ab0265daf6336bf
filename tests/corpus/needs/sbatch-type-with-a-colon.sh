#!/bin/bash
#SBATCH --gres=gpu:a100:80gb:2
python t.py
