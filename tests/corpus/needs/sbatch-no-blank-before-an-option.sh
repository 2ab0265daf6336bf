#!/bin/bash
#SBATCH--gpus=2
#SBATCH-t5
python t.py
