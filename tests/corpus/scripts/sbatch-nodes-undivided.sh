#!/bin/bash
#SBATCH -N 3 -G 8
python t.py
