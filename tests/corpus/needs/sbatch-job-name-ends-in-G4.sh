#!/bin/bash
#SBATCH -J Resnet-G4
#SBATCH -G 2
python t.py
