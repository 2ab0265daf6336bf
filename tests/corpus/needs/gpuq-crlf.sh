#!/bin/bash

#GPUQ --gpus 2
python train.py
