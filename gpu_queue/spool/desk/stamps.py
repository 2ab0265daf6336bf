"""Stamps: moments that order the names of what one process writes."""

from __future__ import annotations

import os
import threading
import time

_ABSURD_S = 3e9
"""No clock is that far ahead; and a stamp has four digits for the year."""


class _Stamps:
    """Moments in whole milliseconds, none of them twice and none before another: they order names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._behind_s = 0.0

    def begin_behind(self, moment_s: float) -> None:
        """Give only later ones from now on, also where that is still to come: some clock was ahead of this one."""
        if moment_s - time.time() > _ABSURD_S:
            return
        with self._lock:
            self._behind_s = max(self._behind_s, moment_s)
            self._last_ms = max(self._last_ms, int(moment_s * 1000 + 0.5))

    def next_s(self, since_ns: int | None = None) -> float:
        """A new one, in epoch seconds.

        Args:
            since_ns: when that began which is named: of thousands the later ones are less far ahead then; None: now.
        """
        with self._lock:
            began_ns = time.time_ns() if since_ns is None else since_ns
            self._last_ms = max(began_ns // 1_000_000, self._last_ms + 1)
            return self._last_ms / 1000 + 0.0002  # well inside the millisecond: a float is not exact

    def ahead_s(self) -> float:
        """How far the last one is ahead of the clock, or of the moment that all of them are behind."""
        return max(0.0, self._last_ms / 1000 - max(time.time(), self._behind_s))

    def forget_lock(self) -> None:
        """After a fork: another thread may have held it."""
        self._lock = threading.Lock()


_STAMPS = _Stamps()
next_stamp_s, ahead_s, begin_behind = _STAMPS.next_s, _STAMPS.ahead_s, _STAMPS.begin_behind
os.register_at_fork(after_in_child=_STAMPS.forget_lock)
