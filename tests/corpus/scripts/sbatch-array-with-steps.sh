#!/bin/bash
#SBATCH --array=1-7:2
python t.py
