#!/bin/bash
#$HOME is where gpu=2 lies
python t.py
