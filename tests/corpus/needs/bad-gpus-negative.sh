#!/bin/bash
#GPUQ --gpus -1
python t.py
