#!/usr/bin/env python3
"""The GPU perpetual motion machine: serves one spool on this node.  See ``--help`` and README.md."""

import os
import sys


def _open_standard_streams() -> None:
    """Whoever closed one would otherwise find it taken by the next file that is opened: a lock, say."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    _open_standard_streams()
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
