#!/bin/bash
#SBATCH --gpus-per-socket=4 --sockets-per-node=2
python t.py
