#!/usr/bin/env python3
os.environ["CUDA_VISIBLE_DEVICES"] = str(pick())
