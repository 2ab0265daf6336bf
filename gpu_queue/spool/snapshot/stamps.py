"""Which files have to be opened again: those that look like other ones, and each now and then.

A stat costs an NFS server less than an open, but may be a minute behind (``acregmax``), and more where somebody
mounted it so: only an open asks in any case (close-to-open).
"""

from __future__ import annotations

import os

ANYWAY_S = 600.0
"""A file that looks the same is opened after so long in any case."""
KEPT_MAX = 10_000

Stamp = tuple[int, int, int]
"""Inode, mtime, size."""


class Stamps:
    """What files looked like when they were opened last.  For one thread."""

    def __init__(self, anyway_s: float = ANYWAY_S) -> None:
        """Nothing was opened yet.

        Args:
            anyway_s: a file that looks the same is opened after so long.
        """
        self._anyway_s = anyway_s
        self._opened: dict[str, tuple[Stamp | None, float]] = {}

    def is_due(self, path: str, now: float, *, is_urgent: bool = False) -> bool:
        """Whether it should be opened now; whoever is told so opens it.

        Args:
            path: the file.
            now: monotonic seconds.
            is_urgent: something else tells that it is another one.
        """
        stamp = stamp_of(path)  # before it is opened: what changes meanwhile shows next time
        known = self._opened.get(path)
        if known is not None and known[0] == stamp and now - known[1] < self._anyway_s and not is_urgent:
            return False
        if len(self._opened) >= KEPT_MAX:
            self._opened.clear()
        self._opened[path] = stamp, now
        return True

    def forget(self, path: str) -> None:
        """It could not be read: it is due."""
        self._opened.pop(path, None)


def stamp_of(path: str) -> Stamp | None:
    """What a file looks like, without opening it; None: as if it were not there."""
    try:
        facts = os.lstat(path)
    except (OSError, ValueError):
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
