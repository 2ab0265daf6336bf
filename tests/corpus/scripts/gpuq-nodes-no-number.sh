#!/bin/bash
#GPUQ --nodes 2-4
python t.py
