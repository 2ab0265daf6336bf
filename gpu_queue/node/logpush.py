"""Pushes what running tasks print to the server, so that other hosts see it within seconds.

A network client keeps what a program writes to an open file for up to half a minute (measured on NFS: 24 s); the
script cannot be asked to sync its log, and a sync by anybody on its host does it.
"""

from __future__ import annotations

import os


class LogPusher:
    """Syncs the logs that have grown; lives in the storage thread."""

    def __init__(self) -> None:
        self._pushed: dict[str, int] = {}

    def push(self, logs: tuple[str, ...]) -> None:
        """Sync those of these files that have grown; one that cannot be synced is tried again by the next call."""
        self._pushed = {log: self._pushed.get(log, 0) for log in logs}
        for log in logs:
            try:
                descriptor = os.open(log, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    size = os.fstat(descriptor).st_size
                    if size != self._pushed[log]:
                        os.fsync(descriptor)
                        self._pushed[log] = size
                finally:
                    os.close(descriptor)
            except OSError:
                continue  # not made yet, or the storage's trouble, which others tell
