#!/bin/bash
#SBATCH two of them: --gpus=2 -- - please -t 4
python t.py
