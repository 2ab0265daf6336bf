#!/bin/bash
#SBATCH --g"pu"s=''2 -t"3"'0' 
python t.py
