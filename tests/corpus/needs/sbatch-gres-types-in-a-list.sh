#!/bin/bash
#SBATCH --gres=gpu:a100:2,gpu:v100,shard:7
python t.py
