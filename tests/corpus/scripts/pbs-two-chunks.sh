#!/bin/sh
#PBS -l select=2:ngpus=4
python t.py
