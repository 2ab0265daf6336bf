#!/bin/bash
#GPUQ --gpus two
python t.py
