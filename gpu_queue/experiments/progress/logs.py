"""The end of a log, as it is shown beside a failure."""

from __future__ import annotations

import os

from gpu_queue.experiments.progress.lines import without_escapes
from gpu_queue.spool import files, growing

LINES = 5
_READ_BYTES = 16 << 10
_OURS = "==== "
"""What an agent writes above and below the output of a script repeats what is told beside it."""
_HEAD = "==== task "


def near(path: str, here: str) -> str:
    """A path as it is typed from a directory: what lies below that is told from there.  Pure.

    Args:
        path: a whole one.
        here: the directory; empty: nobody knows which it is.
    """
    below = here.rstrip("/") + "/"
    return path[len(below) :] if here and path.startswith(below) else path


def working_directory() -> str:
    """Where we are; empty: it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def log_end(path: str, lines: int = LINES) -> tuple[str, ...]:
    """The last lines that a script printed, without colours; empty where there are none, or it cannot be read.

    Args:
        path: of the log in the spool: links are not followed.
        lines: at most so many.
    """
    try:
        content, facts = growing.read_tail(path, 0, 0, _READ_BYTES)
    except (files.FileProblem, OSError, ValueError):
        return ()
    # Surrogates as bytes: whoever shows them knows what the terminal can show.
    text = content.decode("utf-8", "surrogateescape")
    found = [without_escapes(line).rstrip() for line in text.split("\n")]
    if facts.st_size > len(content):
        found = found[1:] or found  # it is torn
    elif text.startswith(_HEAD):
        while found and found[0].startswith(_OURS):
            del found[0]
    while found and (not found[-1] or found[-1].startswith(_OURS)):
        found.pop()
    return tuple([line for line in found if line][-lines:])
