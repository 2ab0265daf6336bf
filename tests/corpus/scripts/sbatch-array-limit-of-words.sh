#!/bin/bash
#SBATCH --array=0-9%x
python t.py
