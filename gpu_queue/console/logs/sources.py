"""Which file a log's address means."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gpu_queue.console.models.tasks import LogSource
from gpu_queue.spool.snapshot.taskfiles import TaskView

LATEST = "latest"
KEPT_MAX = 256
KEPT_S = 10.0
"""A window after the other is asked for; a task's records need not be read for each."""


@dataclass(frozen=True)
class Place:
    """A file below a directory that is allowed."""

    root: str
    below: str
    title: str


def sources_of(view: TaskView) -> list[LogSource]:
    """The logs of a task's tries, the oldest first; of a task over several nodes one for each."""
    first = view.tries[0].claim if view.tries else None
    found = []
    for one in view.logs:
        number = 1 if one.claim is None else one.claim.number
        token = one.claim.token if one.claim is not None else "first"
        if one.claim is None and first is not None and first.number == 1:
            token = first.token
        source, title = token, f"try {number}"
        if one.rank:
            source, title = f"{token}-rank{one.rank}", f"{title}, rank {one.rank}"
        found.append(LogSource(source=source, kind="try", title=title, size_bytes=one.size_bytes, number=number))
    return found


def place_of(view: TaskView, source: str) -> Place | None:
    """The file of a source; None: the task has none such.

    Args:
        view: of the task.
        source: of ``sources_of``, or ``latest``.
    """
    named = list(zip(sources_of(view), view.logs, strict=True))
    for one, log in reversed(named):
        if source == one.source or (source == LATEST and log.rank == 0):
            return Place(os.path.dirname(log.path), os.path.basename(log.path), one.title)
    return None


class Places:
    """Which file an address meant a moment ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """None yet."""
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, Place]] = OrderedDict()

    def get(self, name: str, source: str) -> Place | None:
        """The file; None: it is to be asked for.

        Args:
            name: of the task in its directory, which is another one for each try.
            source: as it was asked for.
        """
        at_s, place = self._kept.get((name, source), (float("-inf"), None))
        return place if self._clock() - at_s < KEPT_S else None

    def put(self, name: str, source: str, place: Place) -> None:
        """Keep it for ``KEPT_S``."""
        self._kept[(name, source)] = self._clock(), place
        self._kept.move_to_end((name, source))
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
