#!/bin/bash
#$ -l h_rt=600 -l gpu=1
python t.py
