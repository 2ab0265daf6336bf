#!/bin/bash
#SBATCH "--gpus=2" "-t5"
python t.py
