#!/bin/bash
#SBATCH -time=5
python t.py
