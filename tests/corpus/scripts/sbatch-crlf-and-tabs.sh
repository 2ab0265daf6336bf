#!/bin/bash
#SBATCH	--gres=gpu:4	--time=60
#SBATCH	-J	x	# a comment --gpus=8
python t.py
