#!/bin/bash
#GPUQ --gpu 2
python t.py
