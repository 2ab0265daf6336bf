#!/bin/bash
#SBATCH -N 1-4
python t.py
