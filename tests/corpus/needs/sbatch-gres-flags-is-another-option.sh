#!/bin/bash
#SBATCH --gres-flags=enforce-binding --gpu-bind=single:4 --gpu-freq=1200
python t.py
