"""What a worker takes of its GPU's memory: booked, measured while it holds, awaited when it has gone.  Pure.

The device tells how much is used in all, and of nobody how much is theirs; so the worker's part is what is used now
less what was used before it came.
"""

from __future__ import annotations

from gpu_queue.gpus.leases import Footprint
from gpu_queue.keepalive.tenant import CONTEXT_BYTES

MEMORY_BACK_S = 10.0
"""So long a task waits for the memory that a worker held; then it starts all the same."""
MEMORY_SLACK_BYTES = 256 << 20
MEASURE_AFTER_S = 1.0
_NOTHING_MEASURED = -1


class Occupancy:
    """The memory that one GPU's workers take, one worker after the other."""

    def __init__(self) -> None:
        self.footprint = Footprint(0, 0)
        """What the worker takes, and of the last one that has gone what it took."""
        self.baseline_bytes: int | None = None
        """Used on this GPU before the worker came; None: not known."""
        self.is_late = False
        """The memory of the last worker did not come back in time."""
        self._gone_at: float | None = None
        self._measured_at = float("-inf")
        self._measured_held = _NOTHING_MEASURED

    @property
    def is_over(self) -> bool:
        """Whether the memory of the worker that was here last is back, or was waited for long enough."""
        return self._gone_at is None

    def book(self, used_bytes: int | None, goal_bytes: int) -> None:
        """A worker is about to start.

        Args:
            used_bytes: of the whole GPU, before it comes.
            goal_bytes: what it is to hold, its context not counted.
        """
        self.is_late = False
        self.baseline_bytes = used_bytes
        self.footprint = Footprint(used_bytes or 0, goal_bytes + CONTEXT_BYTES)

    def begin(self, now: float, held_bytes: int) -> None:
        """The worker holds what it can, which is so much: from now on (monotonic) it may be measured."""
        self._measured_at, self._measured_held = now, _NOTHING_MEASURED
        self.footprint = Footprint(self.footprint.before_bytes, held_bytes + CONTEXT_BYTES)

    def measure(self, now: float, used_bytes: int | None, held_bytes: int) -> None:
        """Find out what the worker takes, context and all, once for each amount that it says it holds.

        Args:
            now: monotonic seconds.
            used_bytes: of the whole GPU.
            held_bytes: what the worker says that it holds.
        """
        if used_bytes is None or self.baseline_bytes is None or held_bytes == self._measured_held:
            return
        if self._measured_held >= 0:  # it let go of some: measured anew
            self._measured_at, self._measured_held = now, _NOTHING_MEASURED
        if now - self._measured_at >= MEASURE_AFTER_S:
            # Never less than it says: who was here before may have left since.
            taken_bytes = max(used_bytes - self.baseline_bytes, min(used_bytes, held_bytes))
            self.footprint = Footprint(0, min(taken_bytes, held_bytes + CONTEXT_BYTES))
            self._measured_held = held_bytes

    def end(self, now: float) -> None:
        """The worker has gone, at this moment (monotonic); its memory is to come back."""
        self._gone_at = now

    def await_end(self, now: float, used_bytes: int | None, *, is_lost: bool = False) -> None:
        """Look whether what it held has come back; where nobody knows what was used before, it has.

        Args:
            now: monotonic seconds.
            used_bytes: of the whole GPU; None: it could not be read.
            is_lost: the GPU has gone, and with it all memory.
        """
        if self._gone_at is None:
            return
        before = self.baseline_bytes
        is_back = used_bytes is not None and before is not None and used_bytes <= before + MEMORY_SLACK_BYTES
        if before is None or is_back or is_lost:
            self._gone_at = None
        elif now - self._gone_at >= MEMORY_BACK_S:
            self._gone_at, self.is_late = None, True
