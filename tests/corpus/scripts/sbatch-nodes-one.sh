#!/bin/bash
#SBATCH --nodes=1 -N 1-1
python t.py
