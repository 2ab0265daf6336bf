#!/bin/bash
#SBATCH --comment 'use -t 5 and --gres=gpu:8' -t 10
python t.py
