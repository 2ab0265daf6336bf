#!/bin/bash
#SBATCH --qos=qos_gpu-t3
#SBATCH --time=15:00:00
python t.py
