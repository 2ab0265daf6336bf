#!/bin/bash
#SBATCH --mail-user=a@b.c --mail-type=END
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
python t.py
