#!/bin/bash
#GPUQ gpus 2
python t.py
