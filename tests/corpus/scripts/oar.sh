#!/bin/bash
#OAR -n oarjob
#OAR -l host=1/gpu=2,walltime=4:00:00
python t.py
