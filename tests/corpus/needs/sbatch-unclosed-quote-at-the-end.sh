#!/bin/bash
#SBATCH --gpus=2 --comment="so what
python t.py
