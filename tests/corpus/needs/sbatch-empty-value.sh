#!/bin/bash
#SBATCH --comment "" --gpus=2
#SBATCH --time= -G4
python t.py
