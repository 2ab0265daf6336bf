#!/bin/csh
setenv CUDA_VISIBLE_DEVICES 3
python t.py
