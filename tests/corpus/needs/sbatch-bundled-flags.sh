#!/bin/bash
#SBATCH -HQG4 -vt 1:30:00
python t.py
