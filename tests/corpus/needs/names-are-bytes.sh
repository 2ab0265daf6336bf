#!/bin/bash
# шонч╗Г  ■
#GPUQ --gpus 2
python t.py
