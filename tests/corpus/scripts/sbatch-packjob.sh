#!/bin/bash
#SBATCH packjob
python t.py
