#!/bin/bash
#GPUQ --nodes 2 --gpus 1-4
python t.py
