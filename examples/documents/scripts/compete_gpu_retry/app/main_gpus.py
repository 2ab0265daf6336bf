#!/usr/bin/env python3
"""main_gpus.py --command-file FILE: as main_gpu.py, and each block says how many GPUs it wants.

python app/main_gpus.py --command-file command/command_gpus.txt
"""

import sys

from main_gpu import main

if __name__ == "__main__":
    sys.exit(main("gpus", "--multi"))
