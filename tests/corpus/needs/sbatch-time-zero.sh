#!/bin/bash
#SBATCH --time=0
python t.py
