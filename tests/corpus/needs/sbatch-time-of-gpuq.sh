#!/bin/bash
#SBATCH --time=abc
#GPUQ --time 4h
python t.py
