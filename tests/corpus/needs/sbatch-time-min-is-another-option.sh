#!/bin/bash
#SBATCH --time-min=1:00 --time=2:00:00
python t.py
