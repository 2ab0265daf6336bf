#!/bin/bash
 #SBATCH --gpus=8
python t.py
