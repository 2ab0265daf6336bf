#!/bin/bash
#SBATCH --mem-per-gpu=40G --cpus-per-gpu=8 --ntasks-per-gpu=2
python t.py
