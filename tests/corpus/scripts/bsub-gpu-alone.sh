#!/bin/bash
#BSUB -gpu - -q gpu
python t.py
