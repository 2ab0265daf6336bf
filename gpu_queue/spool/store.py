"""The one place that moves tasks: each transition is one rename, and after any error the truth is listed.

- ``os.rename`` only, never a copying move.
- An error does not mean "not done": a rename whose reply was lost reports ENOENT although it was done.  So after
  an error the target directory is listed: the name is there (WON), or the source is gone too or still there and
  the error was final (LOST), or nobody knows yet (UNKNOWN: ask again at the next step).
- Truth is asked by listing, never by ``stat`` of a name: on NFS a name once missed stays missing for a minute.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import Enum

from gpu_queue.spool import files


class Moved(Enum):
    """What became of a rename."""

    WON = "won"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class MoveResult:
    """What became of a rename, and the error if there was one."""

    moved: Moved
    error: OSError | None = None

    def __str__(self) -> str:
        return self.moved.value if self.error is None else f"{self.moved.value}: {self.error.strerror}"


def listing(directory: str) -> list[str]:
    """The names in a directory.

    Raises:
        OSError: it could not be listed, which says nothing about what is in it.
    """
    return os.listdir(directory)


def move(source: str, target: str) -> MoveResult:
    """Rename, and after an error find out what happened.

    Args:
        source: the present path.
        target: a path that nobody else renames to.
    """
    try:
        os.rename(source, target)
        return MoveResult(Moved.WON)
    except OSError as raised:
        error = raised
    try:
        if os.path.basename(target) in listing(os.path.dirname(target)):
            return MoveResult(Moved.WON, error)
        source_is_there = os.path.basename(source) in listing(os.path.dirname(source))
    except OSError:
        return MoveResult(Moved.UNKNOWN, error)
    if files.is_transient(error):
        return MoveResult(Moved.UNKNOWN, error)
    if error.errno == errno.ENOENT and source_is_there:
        # Either its directory is missing at the target, or a listing is behind: not lost, not won.
        return MoveResult(Moved.UNKNOWN, error)
    return MoveResult(Moved.LOST, error)
