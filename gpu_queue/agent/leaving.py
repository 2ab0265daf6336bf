"""How an agent gives its tasks back: at once, but those that want to be warned get the time that there is for it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gpu_queue.agent.allotted import GRACE_KEPT_S, Allocation
from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.tries import Tries
from gpu_queue.agent.warning import Warnings
from gpu_queue.config import Settings
from gpu_queue.task import Why


class Cause(Enum):
    """Why an agent leaves."""

    SIGNAL = "signal"  # the platform takes the node back, and ends all after a grace
    SHUTDOWN = "shutdown"  # a person's command, which has no end of its own
    LIFETIME = "lifetime"  # its tasks were warned before


def delay_s(before_s: float, cause: Cause, leave_grace_s: float, grace_s: float | None) -> float:
    """How long after a task was warned it is sent TERM.  Pure.

    Args:
        before_s: how long before its end it wants to be warned.
        cause: why its agent leaves.
        leave_grace_s: between TERM and KILL, so that all is done before the platform's KILL.
        grace_s: between the platform's TERM and its KILL; None: nobody knows, and no KILL of ours comes later than
            for other tasks.
    """
    if cause is Cause.LIFETIME:
        return 0.0
    if cause is Cause.SHUTDOWN:
        return before_s
    left_s = leave_grace_s / 2 if grace_s is None else grace_s - GRACE_KEPT_S - leave_grace_s
    return max(0.0, min(before_s, left_s))


class Leaving:
    """One agent's."""

    def __init__(
        self, tries: Tries, warnings: Warnings, allocation: Allocation, settings: Callable[[], Settings]
    ) -> None:
        """Give nothing back yet.

        Args:
            tries: what runs here.
            warnings: warns what wants it.
            allocation: in which the agent runs.
            settings: of the moment.
        """
        self._tries = tries
        self._warnings = warnings
        self._allocation = allocation
        self._settings = settings
        self._since: dict[Cause, float] = {}
        self._last_at = 0.0
        """When the last of them is sent TERM."""

    @property
    def grace_s(self) -> float:
        """Between TERM and KILL."""
        return self._allocation.leave_grace_s(self._settings().leave_grace_s)

    def advance(self, now: float, cause: Cause) -> None:
        """End what is to end by now; what waits for its signal's time has its warning.

        Args:
            now: monotonic seconds.
            cause: why the agent leaves; a person's command may be followed by the platform's TERM.
        """
        since = self._since.setdefault(cause, now)
        waiting: list[float] = []
        for one in list(self._tries.live.values()):
            if one.why is not None:
                continue
            at = since + self._delay_s(one, cause)
            if now < at:
                waiting.append(at)
                self._warnings.leaves_at[one.name] = at
                continue
            grace_s = self.grace_s
            if cause is Cause.SIGNAL and self._allocation.grace_s is None:
                grace_s = max(0.0, grace_s - (now - since))
            self._tries.stop(one, Why.REQUEUE, now, grace_s)
            self._last_at = now
        if waiting:
            self._last_at = max(waiting)

    def _delay_s(self, one: LiveTry, cause: Cause) -> float:
        if one.needs.signal is None or not one.is_running:
            return 0.0
        return delay_s(one.needs.signal.before_s, cause, self.grace_s, self._allocation.grace_s)

    def is_over(self, now: float, extra_s: float) -> bool:
        """Whether whoever has not gone by now is left to the next agent.

        Args:
            now: monotonic seconds.
            extra_s: so long beyond the grace the storage may take.
        """
        return bool(self._since) and now - max(self._last_at, *self._since.values()) > self.grace_s + extra_s
