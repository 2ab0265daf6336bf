#!/bin/bash
#$ -t 1-5 -tc 2
python t.py
