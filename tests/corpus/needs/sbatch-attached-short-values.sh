#!/bin/bash
#SBATCH -t30 -G2 -Jx -N1
python t.py
