#!/bin/bash
#BSUB -J lsfjob
#BSUB -gpu "num=2:mode=exclusive_process"
#BSUB -W 4:00
#BSUB -n 8
python t.py
