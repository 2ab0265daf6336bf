#!/bin/bash
#SBATCH --no-requeue
python t.py
