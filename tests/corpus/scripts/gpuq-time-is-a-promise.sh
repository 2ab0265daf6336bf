#!/bin/bash
#GPUQ --time 2h
#SBATCH -t 2-0
python t.py
