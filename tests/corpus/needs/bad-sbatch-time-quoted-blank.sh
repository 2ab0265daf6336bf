#!/bin/bash
#SBATCH "-t 1 2"
python t.py
