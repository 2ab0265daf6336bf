#!/bin/bash
#SBATCH --array=0-6999,7000-13000
python t.py
