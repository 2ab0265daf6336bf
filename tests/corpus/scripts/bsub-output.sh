#!/bin/bash
#BSUB -o out.%J -eo err.%J -cwd /w
python t.py
