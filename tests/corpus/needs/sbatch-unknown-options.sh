#!/bin/bash
#SBATCH --no-such -Z9 --other=-t3 --third t4 --gpus=2
python t.py
