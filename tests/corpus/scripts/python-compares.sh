#!/usr/bin/env python3
if os.environ["CUDA_VISIBLE_DEVICES"] == "0":
    pass
