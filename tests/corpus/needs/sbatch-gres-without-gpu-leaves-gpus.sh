#!/bin/bash
#SBATCH --gpus=2
#SBATCH --gres=shard:1
python t.py
