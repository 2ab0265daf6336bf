#!/bin/sh
#PBS -l select=1:ncpus=8
#PBS -V
python t.py
