#!/bin/sh
#PBS -J 1-10 -l select=1:ngpus=1
python t.py
