"""Stands for your training."""

import argparse
import os
import time

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--arg1", default="value1")
asked = parser.parse_args()
print(f"arg1 {asked.arg1} on GPU {os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}", flush=True)
time.sleep(float(os.environ.get("ROUND_SECONDS", "0.1")) * 10)
print("done")
