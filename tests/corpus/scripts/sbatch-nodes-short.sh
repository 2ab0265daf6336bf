#!/bin/bash
#SBATCH -N4
python t.py
