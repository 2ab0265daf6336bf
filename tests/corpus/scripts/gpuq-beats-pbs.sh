#!/bin/bash
#GPUQ --gpus 1
#PBS -l select=1:ngpus=4,walltime=24:00:00
python t.py
