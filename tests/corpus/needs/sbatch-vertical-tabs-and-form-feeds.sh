#!/bin/bash
#SBATCH -J x-G2-t5
python t.py
