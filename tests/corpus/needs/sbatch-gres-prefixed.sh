#!/bin/bash
#SBATCH --gres=gres/gpu:a100:2,gres:gpu:1
python t.py
