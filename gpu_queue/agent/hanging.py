"""Shared storage that does not answer, said when it begins and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from gpu_queue.node.storage import Storage
from gpu_queue.units import format_duration

SAID_AFTER_S = 10.0


class Hanging:
    """Watches one agent's storage thread."""

    def __init__(self, storage: Storage, say: Callable[[str], None]) -> None:
        self._storage = storage
        self._say = say
        self._is_said = False

    def text(self, now: float) -> str:
        """For how long it has not answered, for people; empty where that is not worth a word."""
        hanging = self._storage.hangs(now)
        if hanging is None or hanging[1] < SAID_AFTER_S:
            return ""
        return f"the shared storage has not answered ({hanging[0]}) for {format_duration(hanging[1])}"

    def notice(self, now: float) -> None:
        """Say so where that has changed."""
        text = self.text(now)
        if bool(text) != self._is_said:
            self._is_said = bool(text)
            self._say(text or "the shared storage answers again")
