#!/bin/bash
#SBATCHES --gpus=8
#SBATCH_OFF -t 1
python t.py
