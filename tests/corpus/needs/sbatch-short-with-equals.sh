#!/bin/bash
#SBATCH -G=2
python t.py
