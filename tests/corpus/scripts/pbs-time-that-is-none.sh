#!/bin/bash
#PBS -l ngpus=1,walltime=1:2:3:4
python t.py
