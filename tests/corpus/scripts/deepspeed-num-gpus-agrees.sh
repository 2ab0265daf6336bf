#!/bin/bash
#SBATCH --gres=gpu:2
deepspeed --num_gpus 2 t.py
