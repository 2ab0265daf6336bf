#!/usr/bin/env python3
"""The GPU perpetual motion machine: serves one spool on this node.  See ``--help`` and README.md."""

import os
import sys

# To be edited; every other place (config.yaml, gpu-queue.conf, the environment, flags) beats them: docs/settings.md.
GPU_UTIL_THRESHOLD = 50  # below this utilisation in % the keep-alive catches up at once, not bit by bit
GPU_UTIL_TARGET = 70  # the lower end of the band that it holds
GPU_UTIL_HIGH = 85  # the upper end: above it, it slows down
MEMORY_USAGE_TARGET = 0.6  # the part of a card's memory that it holds
AUTO_SHUTDOWN_HOURS = 24  # the agent ends itself after so many hours

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from gpu_queue.agent.__main__ import run

    run("perpetual_motion.py", {name: value for name, value in globals().items() if name.isupper()})
