#!/bin/bash
#SBATCH -t 5
#SBATCH --time=UNLIMITED
python t.py
