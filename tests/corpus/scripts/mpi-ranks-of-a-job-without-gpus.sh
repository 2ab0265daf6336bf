#!/bin/bash
#SBATCH -n 4
#SBATCH -t 5
mpirun -np 4 python integrate.py
