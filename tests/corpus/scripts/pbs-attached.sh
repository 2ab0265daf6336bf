#!/bin/bash
#PBS -lselect=1:ngpus=2
python t.py
