#!/usr/bin/env python3
import os
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
