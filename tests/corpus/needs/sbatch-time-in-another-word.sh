#!/bin/bash
#SBATCH --dependency=after:123+--time=5
python t.py
