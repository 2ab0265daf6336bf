#!/bin/bash
#SBATCH --no-such a100 -y foo -G2
python t.py
