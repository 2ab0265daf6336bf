#!/bin/bash
#BSUB -J "grid[1-10]%3" -gpu num=1
python t.py
