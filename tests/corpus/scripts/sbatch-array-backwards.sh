#!/bin/bash
#SBATCH --array=9-0
python t.py
