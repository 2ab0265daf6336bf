#!/usr/bin/python
import os
os.putenv("CUDA_VISIBLE_DEVICES", "2")
