#!/bin/bash
#SBATCH -t=30
python t.py
