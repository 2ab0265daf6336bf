#!/bin/bash
#GPUQ --nodes 2
torchrun --nnodes 2 --nproc-per-node 4 t.py
