"""Becomes a program that heeds INT and QUIT again, after a shell had its background ignore them.

::

    python heed.py PROGRAM [ARGUMENT...]

- No shell can undo that.  A shim needs it only where it has no job control (decision 0018): elsewhere its script is
  started with the default signals, and nothing is between them.
- A program of its own, run as a file by the agent's Python with ``-I -S``; nothing of the package is imported.
"""

from __future__ import annotations

import os
import signal
import sys


def main(program: list[str]) -> int:
    """Become the program; returns the status of one that cannot be started, as a shell has it."""
    # The last two are Python's own doing, and so is a LC_CTYPE that it adds to what it was started with.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as file:
        given = dict(one.split(b"=", 1) for one in file.read().split(b"\0") if b"=" in one)
    try:
        os.execvpe(program[0], program, given)
    except OSError as error:
        os.write(2, os.fsencode(f"{program[0]}: {error.strerror}\n"))
        return 126 if isinstance(error, PermissionError) else 127


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
