#!/bin/bash
#SBATCH -J -G8
python t.py
