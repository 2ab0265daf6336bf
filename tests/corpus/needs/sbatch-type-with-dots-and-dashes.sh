#!/bin/bash
#SBATCH --gpus=nvidia_a100-sxm4.80gb:3
python t.py
