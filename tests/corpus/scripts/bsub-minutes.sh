#!/bin/bash
#BSUB -W 30
python t.py
