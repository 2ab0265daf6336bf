#!/bin/bash
#SBATCH -t-1
python t.py
