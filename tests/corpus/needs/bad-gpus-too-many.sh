#!/bin/bash
#GPUQ --gpus 2000
python t.py
