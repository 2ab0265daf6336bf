#!/bin/bash
#GPUQ --memory lots
python t.py
