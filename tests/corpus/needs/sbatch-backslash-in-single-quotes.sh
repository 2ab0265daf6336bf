#!/bin/bash
#SBATCH --comment='it\'s -G8 -H' -G2
python t.py
