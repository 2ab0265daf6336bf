#!/usr/bin/env python3
"""Runs the blocks of command.txt, with the settings in config.yaml, both beside this file.

nohup python main.py > /dev/null 2>&1 &
tail -f logs/compete_gpu.log
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, f"{HERE}/app")

from main_gpu import schedule  # noqa: E402

if __name__ == "__main__":
    log = f"{HERE}/logs/compete_gpu.log"
    sys.exit(schedule(f"{HERE}/command.txt", f"{HERE}/config.yaml", log, ["--single", *sys.argv[1:]]))
