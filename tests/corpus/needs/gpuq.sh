#!/bin/bash
#GPUQ --gpus 2 --memory 20G --queue car --time 4h --retries 1
python train.py
