#!/bin/bash
#SBATCH --job-name="my/run"
python t.py
