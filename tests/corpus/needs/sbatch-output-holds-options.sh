#!/bin/bash
#SBATCH -o logs/%x-t1-G3.out -e logs/--gpus=7.err
python t.py
