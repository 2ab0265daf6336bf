"""What this node has settled: how much since its agent began, and what has just been."""

from __future__ import annotations

from typing import NamedTuple

from gpu_queue.task import State


class Ended(NamedTuple):
    """A task that this node has settled."""

    task_id: str
    state: State
    queue: str | None
    """The queue that it held, as far as that is known here."""


class Tally:
    """Counts what is settled here, and remembers it until it is asked."""

    def __init__(self) -> None:
        """Nothing was."""
        self.counts = {State.DONE: 0, State.FAILED: 0}
        self._ended: list[Ended] = []

    def add(self, ended: Ended) -> None:
        """One more."""
        self.counts[ended.state] += 1
        self._ended.append(ended)

    def take(self) -> list[Ended]:
        """What was settled since this was asked last."""
        ended, self._ended = self._ended, []
        return ended
