#!/bin/bash
#$ -N sgejob
#$ -cwd
#$ -l gpu=2,h_rt=02:00:00
#$ -t 1-5
python t.py
