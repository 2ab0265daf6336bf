#!/bin/bash
#SBATCH -gpus=8 -gres=gpu:8
python t.py
