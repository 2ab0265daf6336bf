#!/bin/bash
#SBATCH -kG8 -t5
python t.py
