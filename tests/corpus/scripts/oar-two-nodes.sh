#!/bin/bash
#OAR -l host=2/gpu=2
python t.py
