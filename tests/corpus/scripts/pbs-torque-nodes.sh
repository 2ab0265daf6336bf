#!/bin/sh
#PBS -l nodes=1:ppn=4:gpus=2,walltime=01:00:00
python t.py
