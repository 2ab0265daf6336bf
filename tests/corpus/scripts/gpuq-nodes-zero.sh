#!/bin/bash
#GPUQ --nodes 0
python t.py
