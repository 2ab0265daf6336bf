#!/bin/bash
#SBATCH --array=1-100
#SBATCH --array=1-3
python t.py
