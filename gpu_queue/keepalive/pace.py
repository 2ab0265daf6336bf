"""When a filler launches its next kernel, and what the time of the last one says.  Pure.

- Long-run share equals duty, also where one kernel is a third of a period: what a period was short of, or ran over,
  is carried into the next.
- Periods are jittered, so that no sampler that looks at round intervals always sees the same phase.
- A duty is a lease: without another word the filler pauses when it ends.  An agent that hangs loads nothing.
- A kernel that suddenly takes half as long again, twice in a row, shares the card with somebody.  What changes slowly
  and by little is heat or power, and is taken for the new normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable

JITTER = 0.2
"""Of a period's length, up and down."""
TENANT_STRETCH = 1.5
DRIFT_LIMIT = 1.2
"""Throttling explains no more."""
_TENANT_KERNELS = 2
_DRIFT_WEIGHT = 0.01
"""Of one kernel in what is normal: about a second's worth of kernels moves it."""
_COLD_AFTER_S = 1.0
_COLD_KERNELS = 5
"""After a rest clocks are low, and the first kernels are no measure."""


class Pace:
    """The rhythm of launches under a duty."""

    def __init__(self, period_s: float, kernel_s: float, chance: Callable[[], float]):
        """Start paused.

        Args:
            period_s: mean length of a period.
            kernel_s: what one launch takes.
            chance: evenly distributed from 0 to 1, for the jitter.
        """
        self.kernel_s = kernel_s
        self._period_s = period_s
        self._chance = chance
        self._duty = 0.0
        self._lease_ends_at = -math.inf
        self._period_ends_at = -math.inf
        self._credit_s = 0.0
        """Busy time that is still owed; below 0 where the last launch ran over."""

    def obey(self, duty: float, for_s: float, now: float) -> None:
        """Be busy this share from now on, and for no longer than this."""
        if duty <= 0 or for_s <= 0:
            self.pause()
            return
        if self.is_paused(now):
            self._credit_s, self._period_ends_at = 0.0, now
        self._duty, self._lease_ends_at = duty, now + for_s

    def pause(self) -> None:
        """Launch nothing until the next word."""
        self._duty = 0.0

    def is_paused(self, now: float) -> bool:
        """Whether nothing is to be launched, by word or because the lease has ended."""
        return self._duty == 0 or now >= self._lease_ends_at

    def wait_s(self, now: float) -> float:
        """How long to rest; 0: launch now; infinity: until there is a word."""
        if self.is_paused(now):
            self.pause()
            return math.inf
        if now >= self._period_ends_at:
            self._begin_period(now)
        if self._credit_s >= self.kernel_s / 2:
            return 0.0
        return min(self._period_ends_at, self._lease_ends_at) - now

    def ran(self, kernel_s: float) -> None:
        """One kernel has run for so long."""
        # Bounded, so that one that hung for seconds is not followed by as long a silence.
        self._credit_s = max(self._credit_s - kernel_s, -2 * self._period_s)

    def _begin_period(self, now: float) -> None:
        length_s = self._period_s * (1 + JITTER * (2 * self._chance() - 1))
        # What the last one was late counts too, but a process that did not get to run for long catches up on little.
        late_s = min(now - self._period_ends_at, self._period_s)
        owed_s = self._credit_s + self._duty * (late_s + length_s)
        self._credit_s = min(owed_s, 1.5 * self._period_s + self.kernel_s)
        self._period_ends_at = now + length_s


class Stretch:
    """Judges kernels by their time."""

    def __init__(self, kernel_s: float):
        """Start with the time that one takes on a card of its own."""
        self.normal_s = kernel_s
        self._least_s = kernel_s
        self._long = 0
        self._unjudged = 0
        self._ended_at = -math.inf
        self.has_judged = False
        """The last kernel was one by which anything can be told."""

    def note(self, kernel_s: float, now: float) -> str | None:
        """Note one kernel.

        Args:
            kernel_s: how long it took.
            now: when it ended.

        Returns:
            The evidence of a second party; None as long as there is none.
        """
        if now - self._ended_at >= _COLD_AFTER_S:
            self._unjudged = _COLD_KERNELS
        self._ended_at = now
        self.has_judged = not self._unjudged
        if self._unjudged:
            self._unjudged -= 1
            return None
        stretch = kernel_s / self.normal_s
        if stretch < TENANT_STRETCH:
            self._long = 0
            self._drift(kernel_s)
            return None
        self._long += 1
        if self._long < _TENANT_KERNELS:
            return None
        self._long = 0
        return f"kernel time {stretch:.1f}x for two bursts"

    def _drift(self, kernel_s: float) -> None:
        drifted_s = self.normal_s + _DRIFT_WEIGHT * (kernel_s - self.normal_s)
        self.normal_s = min(drifted_s, DRIFT_LIMIT * self._least_s)
        self._least_s = min(self._least_s, self.normal_s)
