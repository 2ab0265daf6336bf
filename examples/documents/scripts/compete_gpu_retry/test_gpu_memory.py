#!/usr/bin/env python3
"""Takes a little memory of each GPU and gives it back: `gpu-queue agent --check`, what it says of GPUs and memory.

The status is 1 where a GPU cannot be used.
"""

import os
import subprocess
import sys

sys.path.insert(0, f"{os.path.dirname(os.path.realpath(__file__))}/app")

from main_gpu import gpu_queue

if __name__ == "__main__":
    words = [*gpu_queue(), "agent", "--check", "--mode", "shared", "--job-id", "test_gpu_memory"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    print("\n".join(line for line in lines if line.startswith(("GPUs ", "memory ")) or "PROBLEM" in line))
    sys.exit(done.returncode)
