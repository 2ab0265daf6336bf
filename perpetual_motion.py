#!/usr/bin/env python3
"""The GPU perpetual motion machine: serves one spool on this node.  See ``--help`` and README.md."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from gpu_queue.agent.__main__ import run

    run("perpetual_motion.py")
