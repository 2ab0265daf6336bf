#!/bin/bash
#SBATCH -J theirs
python t.py
