#!/bin/bash
#GPUQ --nodes 2 --gpus 2
torchrun --nnodes 2 --nproc_per_node 2 --rdzv_id $RANDOM t.py
