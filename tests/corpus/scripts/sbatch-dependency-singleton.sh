#!/bin/bash
#SBATCH --dependency=singleton
python t.py
