#!/usr/bin/env python3
GPUS = "0,1"
os.environ["CUDA_VISIBLE_DEVICES"] = GPUS
