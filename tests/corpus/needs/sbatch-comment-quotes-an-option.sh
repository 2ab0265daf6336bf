#!/bin/bash
#SBATCH --comment="--gpus=8 later" --gpus=2
python t.py
