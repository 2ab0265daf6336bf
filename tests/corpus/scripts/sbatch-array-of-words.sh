#!/bin/bash
#SBATCH --array=x-y
python t.py
