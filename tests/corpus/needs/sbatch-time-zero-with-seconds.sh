#!/bin/bash
#SBATCH --time=0-00:00:00
python t.py
