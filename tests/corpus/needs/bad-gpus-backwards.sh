#!/bin/bash
#GPUQ --gpus 4-2
python t.py
