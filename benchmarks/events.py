"""When files appear, as seen from outside: inotify with the time of each event.

The stamps of the files themselves are no use here: they are as coarse as the kernel's tick.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CREATED, _MOVED_HERE = 0x100, 0x80
_HEAD = struct.Struct("iIII")


class Events:
    """Notes for each name that appears in the watched directories when it did."""

    def __init__(self) -> None:
        self._descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self._directories: dict[int, Path] = {}

    def watch(self, directory: Path) -> None:
        number = _LIBC.inotify_add_watch(self._descriptor, os.fsencode(directory), _CREATED | _MOVED_HERE)
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(directory))
        self._directories[number] = directory

    def until(self, other: int, patience_s: float) -> list[tuple[float, Path]]:
        """What appears until ``other`` is readable.  A directory that appears is watched as well.

        Raises:
            TimeoutError: for so long nothing came.
        """
        seen: list[tuple[float, Path]] = []
        while True:
            ready, _, _ = select.select([self._descriptor, other], [], [], patience_s)
            if self._descriptor in ready:
                seen += self._read()
            elif ready:
                return seen
            else:
                raise TimeoutError("a script did not start")

    def _read(self) -> list[tuple[float, Path]]:
        now = time.time()
        data = os.read(self._descriptor, 65536)
        found, at = [], 0
        while at < len(data):
            number, _, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            path = self._directories[number] / os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            found.append((now, path))
            if path.is_dir():
                self.watch(path)
        return found

    def close(self) -> None:
        os.close(self._descriptor)
