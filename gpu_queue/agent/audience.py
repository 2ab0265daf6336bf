"""Whether somebody looks at what this node tells: a client touches ``watched`` while he does (docs/spool.md).

Then its GPUs' readings are told as they change, and else with the beat alone.  Clocks of machines are not compared:
what counts is when *this agent* saw the file change, and for the first time its age by the storage's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.gpus.devices import Gpu
from gpu_queue.node.side import WatchedFile

WATCHED_FOR_S = 60.0
"""After a touch."""
TOLD_EVERY_S = 2.0
_MISSING = (0, 0)


class Audience:
    """What was seen of ``watched``, and what was told of the GPUs; times are monotonic seconds."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._mark: tuple[int, int] | None = None
        """None: nobody has looked yet."""
        self._until = float("-inf")
        self._was_there = False
        self._told: tuple[object, ...] = ()
        self._due = float("-inf")

    def see(self, watched: WatchedFile | None, now: float) -> None:
        """Take what a look at the top of the spool showed.

        Args:
            watched: the file; None: it is not there.
            now: when that was.
        """
        if watched is None:
            self._mark, self._until = _MISSING, float("-inf")
            return
        if watched.mark == self._mark:
            return
        if self._mark is not None:
            self._until = now + WATCHED_FOR_S
        elif watched.age_s is None:
            return  # before the first page is written nobody knows how old it is
        elif abs(watched.age_s) < WATCHED_FOR_S:
            self._until = now + WATCHED_FOR_S - max(0.0, watched.age_s)
        self._mark = watched.mark

    def is_there(self, now: float) -> bool:
        """Whether somebody looks."""
        return now < self._until

    def due(self, now: float) -> float:
        """When the readings are to be compared."""
        if self.is_there(now):
            return self._due
        return now if self._was_there else NEVER

    def advance(self, now: float, read: Callable[[], Sequence[Gpu]]) -> None:
        """Have the node file written, where somebody looks and what it tells of the GPUs is old.

        Args:
            now: this moment.
            read: the served GPUs.
        """
        is_there = self.is_there(now)
        if is_there != self._was_there:
            self._was_there = is_there
            self._agenda.want(Duty.TELL)
        elif is_there and now >= self._due:
            self._due = now + TOLD_EVERY_S
            if _readings(read()) != self._told:
                self._agenda.want(Duty.TELL)

    def tell(self, now: float, gpus: Sequence[Gpu]) -> None:
        """Note what is being told of the served GPUs."""
        self._told, self._due = _readings(gpus), now + TOLD_EVERY_S


def _readings(gpus: Sequence[Gpu]) -> tuple[object, ...]:
    return tuple(
        (gpu.uuid, gpu.memory_used_bytes, gpu.utilization_percent, gpu.power_w, gpu.temperature_c) for gpu in gpus
    )
