#!/bin/bash
#SBATCH -a 0-9%2,15
python t.py
