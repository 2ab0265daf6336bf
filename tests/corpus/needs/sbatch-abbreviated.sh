#!/bin/bash
#SBATCH --gpu=8 --tim=5 --gre=gpu:8
python t.py
