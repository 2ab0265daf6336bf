#!/bin/bash
#SBATCH --time=infinite
python t.py
