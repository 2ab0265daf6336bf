#!/bin/bash
#SBATCH --array=0-99
python t.py
