#!/bin/bash
#SBATCH --nodes=2
srun python t.py
