#!/bin/bash
#SBATCH -G 0002 --ntasks=08
python t.py
