#!/bin/bash
#GPUQ --nodes 2 --gpus 0
python t.py
