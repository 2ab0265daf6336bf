#!/bin/bash

#GPUQ --gpus=1-4
python train.py
