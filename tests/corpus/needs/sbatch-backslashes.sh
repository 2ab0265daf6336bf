#!/bin/bash
#SBATCH --job-name=a\ -G8 --gp\us=2
python t.py
