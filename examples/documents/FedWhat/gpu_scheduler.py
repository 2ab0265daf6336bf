#!/usr/bin/env python3
"""gpu_scheduler.py --job-file FILE …: `gpu-queue run FILE …`, with its other flags as they are.

Waits for GPUs that nobody uses, and runs the file's experiments on them; `gpu-queue run --help` tells the flags.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys


def gpu_queue() -> list[str]:
    """How the command is called: that of the checkout in which this file lies, else the installed one."""
    start = "import sys; sys.path[0] = {!r}; from gpu_queue.cli import main; sys.exit(main())"
    here = os.path.dirname(os.path.realpath(__file__))
    for root in (here, *(here[:at] for at in range(len(here) - 1, 0, -1) if here[at] == "/")):
        if os.path.isfile(f"{root}/gpu_queue/cli.py"):
            own = f"{root}/.venv/bin/python"
            return [own if os.access(own, os.X_OK) else sys.executable, "-c", start.format(root)]
    found = importlib.util.find_spec("gpu_queue")
    if found and found.origin:
        return [sys.executable, "-c", start.format(os.path.dirname(os.path.dirname(found.origin)))]
    installed = shutil.which("gpu-queue")
    if not installed:
        sys.exit("gpu_scheduler.py: gpu-queue is not installed: pip install it, or put it into PATH")
    return [installed]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Run experiments on GPUs of a shared server.",
        epilog="More flags: gpu-queue run --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--job-file", required=True, metavar="FILE", help="jobs_multi_seed.yaml, say")
    chosen, more = parser.parse_known_args()
    words = [*gpu_queue(), "run", chosen.job_file, *more]
    os.execv(words[0], words)
