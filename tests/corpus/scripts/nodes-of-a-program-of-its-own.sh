#!/bin/bash
python launch.py --num_nodes 2 --gpus 8 -- torchrun --nproc_per_node=8 t.py
