#!/bin/bash
#SBATCH -t 2-0
python t.py
