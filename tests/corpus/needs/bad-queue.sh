#!/bin/bash
#GPUQ --queue a/b
python t.py
