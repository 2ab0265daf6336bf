"""A terminal in which a display draws, and what its user sees there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading
import tty
from typing import TextIO

import pyte

_LAST = "\0"
"""A terminal shows nothing for it, and no display writes it."""


class Terminal:
    """A real pseudo terminal; what is written to it is seen as an emulator shows it."""

    def __init__(self, columns: int = 80, rows: int = 24, encoding: str = "utf-8") -> None:
        self._main, sub = pty.openpty()
        tty.setraw(sub, termios.TCSANOW)
        mode = termios.tcgetattr(sub)
        mode[1] |= termios.OPOST | termios.ONLCR  # as a terminal is that nobody has set: a line begins at its left
        termios.tcsetattr(sub, termios.TCSANOW, mode)
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._emulator = pyte.ByteStream(self._screen)
        self.resize(columns, rows)
        self.stream: TextIO = os.fdopen(sub, "w", encoding=encoding)
        self._came = b""
        self._has_come = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()  # it takes some pages, and then whoever writes waits
        self.raw = b""
        """What was written since it was looked at before."""

    def _read(self) -> None:
        while True:
            try:
                came = os.read(self._main, 1 << 16)
            except OSError:  # the last one has closed it
                return
            with self._has_come:
                self._came += came
                self._has_come.notify()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def look(self) -> list[str]:
        """All its lines, those that have scrolled away too, without empty ones at the end."""
        self.stream.write(_LAST)
        self.stream.flush()
        with self._has_come:
            assert self._has_come.wait_for(lambda: self._came.endswith(_LAST.encode()), 20)
            self.raw, self._came = self._came[: -len(_LAST)], b""
        self._emulator.feed(self.raw)
        above = [
            "".join(line[column].data for column in range(self._screen.columns)) for line in self._screen.history.top
        ]
        lines = [line.rstrip() for line in (*above, *self._screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column."""
        return int(self._screen.cursor.y), int(self._screen.cursor.x)

    @property
    def shows_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    def colours(self) -> set[str]:
        """All that are to be seen."""
        rows = self._screen.buffer
        return {
            rows[row][column].fg
            for row in range(self._screen.lines)
            for column in range(self._screen.columns)
            if rows[row][column].data.strip()
        }

    def close(self) -> None:
        self.stream.close()
        os.close(self._main)
