#!/bin/sh
#PBS -l gpus=3
python t.py
