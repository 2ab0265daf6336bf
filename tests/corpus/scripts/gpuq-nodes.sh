#!/bin/bash
#GPUQ --nodes 2 --gpus 8
torchrun --nnodes $NNODES --node-rank $NODE_RANK --nproc-per-node 8 --master-addr $MASTER_ADDR --master-port $MASTER_PORT t.py
