"""``srun`` and ``scontrol`` as scripts call them: small programs in the node's own directory.

They lie in a directory of their own, which is put before PATH.  Each starts the agent's Python with a program of the
package, where no file need be executable.
"""

from __future__ import annotations

import hashlib
import os
import sys

from gpu_queue.execution.localfiles import read_small, replace_whole

_HERE = os.path.dirname(os.path.abspath(__file__))
START_FILE = "start.bash"
"""What bash reads before a script for Slurm that is started on several nodes: there all draw the same numbers."""
_START = b"""\
RANDOM=$GPU_QUEUE_SEED
if [ -n "${GPU_QUEUE_BASH_ENV-}" ]; then BASH_ENV=$GPU_QUEUE_BASH_ENV; else unset BASH_ENV; fi
unset GPU_QUEUE_BASH_ENV
if [ -n "${BASH_ENV-}" ] && [ -r "$BASH_ENV" ]; then . "$BASH_ENV"; fi
"""
PROGRAMS = {"srun": f"{_HERE}/srun/__main__.py", "scontrol": f"{_HERE}/scontrol.py"}


def install_tools(root: str) -> str:
    """The directory of these programs below the node's own; empty where none can be started from there.

    Args:
        root: the node's own directory.

    Raises:
        OSError: the local disk takes them not.
    """
    if ":" in root or os.statvfs(root).f_flag & os.ST_NOEXEC:
        return ""
    key = hashlib.sha256(os.fsencode("\0".join((sys.executable, *PROGRAMS.values())))).hexdigest()[:16]
    directory = f"{root}/tools/{key}"
    for name, program in PROGRAMS.items():
        words = " ".join(_quoted(one) for one in (sys.executable, "-I", "-S", program, directory))
        content = os.fsencode(f'#!/bin/sh\nexec {words} "$@"\n')
        path = f"{directory}/{name}"
        if read_small(path) != content or not os.access(path, os.X_OK):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            replace_whole(path, content)
            os.chmod(path, 0o700)
    start = f"{directory}/{START_FILE}"
    if read_small(start) != _START:
        replace_whole(start, _START)
    return directory


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
