#!/bin/tcsh
set gpus = 0,1
setenv CUDA_VISIBLE_DEVICES $gpus
python t.py
