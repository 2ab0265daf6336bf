#!/bin/bash
#SBATCH --array=0-99999
python t.py
