#!/bin/bash
#SBATCH --nodes=2
#SBATCH --gres=gpu:4
scontrol show hostnames > hosts
deepspeed --hostfile hosts train.py
