"""The console as a program of its own: what ``gpu-queue console --background`` starts."""

import argparse
import os
import sys

if __name__ == "__main__":
    # Run as a file: its directory goes, so that no file there is taken for a module, and the package's is added where
    # it is missing.
    here = os.path.dirname(os.path.realpath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    sys.path[:] = [one for one in sys.path if os.path.realpath(one or ".") != here]
    if root not in map(os.path.realpath, sys.path):
        sys.path.insert(0, root)
    from gpu_queue.console import main

    parser = argparse.ArgumentParser(prog="gpu-queue console", allow_abbrev=False)
    main.add_arguments(parser)
    parser.add_argument("--log-file", default="", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sys.exit(main.run(chosen, "gpu-queue console", chosen.log_file))
