#!/bin/bash
#GPUQ --retries many
python t.py
