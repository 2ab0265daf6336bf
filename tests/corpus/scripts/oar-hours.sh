#!/bin/bash
#OAR -l gpu=1,walltime=2
python t.py
