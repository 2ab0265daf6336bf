#!/bin/bash
#SBATCH --time=soon
python t.py
