"""Ctrl-C and its like, as something that is waited for: what is drawn and written is never cut in two."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LINE_BYTES = 4096


class Interrupts:
    """While it is entered, signals are noted and end nothing."""

    def __init__(self) -> None:
        self._noted: list[int] = []
        self._before: dict[int, Any] = {}
        self._read, self._write = -1, -1
        self._wakeup = -1

    def __enter__(self) -> Interrupts:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _WATCHED:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, and whoever else wants it so
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted.append(number)

    def wait(self, seconds: float) -> int | None:
        """Wait for one; None: none has come in that time."""
        if not self._noted:
            self._select([], seconds)
        return self._noted.pop(0) if self._noted else None

    def line(self, descriptor: int) -> str | None:
        """A line that a person types; empty where the input is at its end, None where one of the signals comes."""
        typed = b""
        while not self._noted:
            if descriptor in self._select([descriptor]):
                try:
                    piece = os.read(descriptor, _LINE_BYTES)
                except OSError:  # the terminal is gone
                    piece = b""
                typed += piece
                if not piece or b"\n" in typed:
                    return typed.partition(b"\n")[0].decode("utf-8", "replace").strip()
        self._noted.pop(0)
        return None

    def _select(self, more: list[int], seconds: float | None = None) -> list[int]:
        ready, _, _ = select.select([self._read, *more], [], [], seconds)
        if self._read in ready:
            os.read(self._read, 1024)
        return ready
