#!/bin/bash
#SBATCH
#SBATCH 
python t.py
