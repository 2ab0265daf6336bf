#!/usr/bin/env python3
import os
# os.environ["CUDA_VISIBLE_DEVICES"] = "0"
