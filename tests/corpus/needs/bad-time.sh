#!/bin/bash
#GPUQ --time 4hours
python t.py
