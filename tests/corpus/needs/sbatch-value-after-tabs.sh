#!/bin/bash
#SBATCH 	--gpus		2	-t	20
python t.py
