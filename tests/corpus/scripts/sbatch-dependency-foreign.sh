#!/bin/bash
#SBATCH -d afterok:123456
python t.py
