#!/bin/bash
#SBATCH --comment="--gpus=8 -t 5 later" -G 2
python t.py
