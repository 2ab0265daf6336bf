#!/usr/bin/env python3
"""The GPU perpetual motion machine: serves one spool on this node.  See ``--help`` and README.md."""

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    if sys.version_info < (3, 10):  # noqa: UP036  an older one would stumble over our syntax without a word
        sys.exit(f"perpetual_motion.py: needs Python 3.10 or newer; this is {sys.version.split()[0]}")
    try:
        from gpu_queue.agent.main import main
    except ModuleNotFoundError as error:
        sys.exit(
            f"perpetual_motion.py: {sys.executable} has no module {error.name!r}; run `make venv` here and use "
            ".venv/bin/python, or: pip install nvidia-ml-py PyYAML"
        )
    # No interpreter shut-down: a thread that hangs on shared storage must not keep the program from ending.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
