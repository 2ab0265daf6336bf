#!/bin/bash
#SBATCH --comment=after:123+--time=5
python t.py
