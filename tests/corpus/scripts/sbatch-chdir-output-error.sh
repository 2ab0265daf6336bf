#!/bin/bash
#SBATCH -D /data/run -o logs/%x-%j.out
#SBATCH --error=logs/%A_%a.err
python t.py
