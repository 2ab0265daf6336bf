"""The one place that moves tasks: each transition is one rename, and after any error the truth is listed.

- ``os.rename`` only, never a copying move.
- An error does not mean "not done": a rename whose reply was lost reports ENOENT although it was done.  So after
  an error both directories are listed: the name is at its target (WON), or in neither (LOST), or where it was, or
  nobody can tell (UNKNOWN: ask again at the next step).  A full or read-only disk loses nothing: the name stays.
- Truth is asked by listing, never by ``stat`` of a name: on NFS a name once missed stays missing for a minute.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from itertools import islice

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


def some_names(directory: str, at_most: int) -> tuple[list[str], bool]:
    """Names in a directory that is no link, for those who only look; and whether there are more than so many.

    Raises:
        OSError: it could not be listed, which says nothing about what is in it.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in islice(entries, at_most + 1)]
    finally:
        os.close(descriptor)
    return names[:at_most], len(names) > at_most


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
        target_is_there = os.path.basename(target) in listing(os.path.dirname(target))
        source_is_there = os.path.basename(source) in listing(os.path.dirname(source))
    except OSError:
        return MoveResult(Moved.UNKNOWN, error)
    # Where both are there and the source was not missing, something else (a directory, say) stands at the target.
    if target_is_there and (not source_is_there or isinstance(error, FileNotFoundError)):
        return MoveResult(Moved.WON, error)
    if source_is_there or files.is_transient(error):
        return MoveResult(Moved.UNKNOWN, error)
    return MoveResult(Moved.LOST, error)
