#!/bin/bash
#SBATCH --export=ALL,ARGS=--gpus=8,T=-t1
python t.py
