#!/bin/bash
#SBATCH --time=UNLIMITED
python t.py
