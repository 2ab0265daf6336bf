#!/bin/bash
cd /data
#GPUQ --gpus 4
python train.py
