"""File events as hints: they make the agent look sooner, and never decide anything.

- On network filesystems other hosts' writes raise none, so the agent polls as well.
- Adding a directory touches its storage and is done by the storage thread; reading events touches none and never
  waits, so the descriptor lies in the main loop's poll.
- inotify(7) is called directly: a library that pairs the two halves of a rename holds every event back for half a
  second after each claim (a claim is the first half of a rename out of ``pending/``), and we need no halves.
"""

from __future__ import annotations

import ctypes
import os
import struct

_MODIFIED_AND_CLOSED = 0x008
_MOVED_HERE = 0x080
_CREATED = 0x100
_MASK = _MODIFIED_AND_CLOSED | _MOVED_HERE | _CREATED | 0x01000000  # ONLYDIR
_HEAD = struct.Struct("iIII")
_READ_BYTES = 1 << 16


class Hints:
    """Watches a few directories."""

    def __init__(self) -> None:
        self._directories: dict[int, str] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        """Readable when something happened; negative where there are no file events."""

    def add(self, directories: list[str]) -> str:
        """Watch directories; returns why that is not possible, or an empty text."""
        for directory in directories:
            descriptor = self._libc.inotify_add_watch(self.fd, os.fsencode(directory), _MASK)
            if descriptor < 0:
                # inotify's limits (ENOSPC, EMFILE) are the usual cause: polling does the work then.
                return f"file events are off for {directory}: {os.strerror(ctypes.get_errno())}"
            self._directories[descriptor] = directory
        return ""

    def read(self) -> list[tuple[str, str, bool]]:
        """What happened: directory, name, and whether the writer has finished with the file."""
        try:
            events = os.read(self.fd, _READ_BYTES)
        except OSError:
            return []
        found = []
        place = 0
        while place + _HEAD.size <= len(events):
            descriptor, mask, _, length = _HEAD.unpack_from(events, place)
            place += _HEAD.size
            name = os.fsdecode(events[place : place + length].rstrip(b"\0"))
            place += length
            directory = self._directories.get(descriptor)
            if directory and name and not name.startswith(".") and not name.endswith(".ack"):
                found.append((directory, name, bool(mask & (_MODIFIED_AND_CLOSED | _MOVED_HERE))))
        return found
