#!/bin/bash
#SBATCH -J Resnet-G4 -G 2
python t.py
