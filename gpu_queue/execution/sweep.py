"""Ends the strays of a dedicated node: Python processes of ours that hang on to GPUs and that nobody answers for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from gpu_queue.execution.processes import Process, send, sweep_candidates

GRACE_S = 5.0
GIVE_UP_S = 30.0
"""A process that does not die of KILL hangs in the driver; the sweep does not wait for it for ever."""


class Sweep:
    """One sweep: call ``step`` until it says that it is done.  Looking is done in a thread, since it may hang."""

    def __init__(self, is_claim_alive: Callable[[str], bool]) -> None:
        self._is_claim_alive = is_claim_alive
        self._told: set[tuple[int, int]] = set()
        self._begun_at: float | None = None
        self._found: list[Process] | None = None
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> int:
        """How many processes were told to end."""
        return len(self._told)

    def step(self, now: float) -> bool:
        """Look, signal, and say whether nothing is left.

        Args:
            now: monotonic seconds.
        """
        if self._begun_at is None:
            self._begun_at = now
        if now - self._begun_at > GIVE_UP_S:
            return True
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        self._thread.join(0.02)
        if self._found is None:
            return False
        found, self._found, self._thread = self._found, None, None
        for process in found:
            key = (process.pid, process.start_ticks)
            if now - self._begun_at >= GRACE_S:
                send(process, signal.SIGKILL)
            elif key not in self._told:
                send(process, signal.SIGTERM)
            self._told.add(key)
        return not found

    def _look(self) -> None:
        self._found = sweep_candidates(self._is_claim_alive)
