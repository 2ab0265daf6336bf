#!/bin/bash
#SBATCH -p gpu-G8
python t.py
