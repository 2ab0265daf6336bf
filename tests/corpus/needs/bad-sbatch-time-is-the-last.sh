#!/bin/bash
#SBATCH -t 5
#SBATCH -t1:2:3:4
python t.py
