#!/bin/bash
#GPUQ --gpus
python t.py
