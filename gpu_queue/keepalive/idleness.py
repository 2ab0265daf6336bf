"""Whether a card is idle enough for a filler: quiet, left idle by its task, or left by a tenant.  Pure.

All want idleness without a break, judged by readings of the device alone; one that failed is not idle.
"""

from __future__ import annotations

from collections.abc import Callable

FIRST_WAIT_S = 60.0
LONGEST_WAIT_S = 1800.0
_IDLE_PERCENT = 5.0
BASELINE_SLACK_BYTES = 64 << 20
"""Memory that comes and goes by so much has not changed."""
_LEAST_FREE_FRACTION, _LEAST_FREE_BYTES = 0.2, 4 << 30
"""Of a card's memory, for its task to grow into; the larger of both."""
_LONGEST_GAP_S = 30.0
_GAUGE_LOOKS_BACK_S = 3.0
"""So long after our own work its utilisation may still be shown."""
_MEMORY_LINGERS_S = 10.0
"""So long after our own work its memory may still be counted."""


class Quiet:
    """How long a card has been quiet, and whether all that was seen on it before was our own.

    Quiet is a utilisation that is not above idle, and memory that does not grow.  What our own tasks and fillers do
    is no secret to us, so a card that they have just left need not be watched for long; one on which something else
    was seen since, or that was not looked at, must be.  Feed it every reading while nothing of ours is on the card.
    """

    def __init__(self) -> None:
        self.is_known = False
        """Nothing but our own work was on the card since we know it."""
        self._has_gauge = False
        self._since_s: float | None = None
        self._last_s = float("-inf")
        self._ours_s = float("-inf")
        self._least_bytes: int | None = None

    def ours(self, now_s: float) -> None:
        """A task or a filler of ours is on the card at this moment (monotonic): all that is seen is its."""
        self.is_known = True
        self._last_s = self._ours_s = now_s
        self._since_s = self._least_bytes = None

    def others(self) -> None:
        """Somebody else is at work on the card."""
        self.is_known = False
        self._since_s = self._least_bytes = None

    def feed(
        self, now_s: float, utilization_percent: float | None, used_bytes: int | None, *, is_foreign: bool
    ) -> None:
        """One reading of the device.

        Args:
            now_s: monotonic.
            utilization_percent: None is quiet on a card that never told any.
            used_bytes: of the whole card; None: it could not be read, and is not quiet.
            is_foreign: others hold so much that the card is theirs.
        """
        if now_s - self._last_s > _LONGEST_GAP_S:
            self.others()
        self._has_gauge |= utilization_percent is not None
        if used_bytes is None or (utilization_percent is None and self._has_gauge):  # as good as not looked at
            self._since_s = None
            return
        self._last_s = now_s
        is_busy = utilization_percent is not None and utilization_percent > _IDLE_PERCENT
        least = self._least_bytes
        has_grown = least is not None and used_bytes > least + BASELINE_SLACK_BYTES
        if is_busy or has_grown or is_foreign:
            lingers_s = _GAUGE_LOOKS_BACK_S if is_busy else _MEMORY_LINGERS_S
            self.is_known &= not has_grown and now_s - self._ours_s < lingers_s
            self._since_s, self._least_bytes = None, used_bytes
            return
        self._least_bytes = used_bytes if least is None else min(least, used_bytes)
        if self._since_s is None:
            self._since_s = now_s

    def lasted_s(self, now_s: float) -> float | None:
        """For how long it has been quiet by now, without a break; None: it is not."""
        return None if self._since_s is None else now_s - self._since_s


class IdleSpell:
    """Whether a card that a task holds is left idle, so that a light filler may hold it beside the task.

    It is when the utilisation was low and much memory was free in every reading of ``after_s``.  A reading that
    failed, or a gap between readings of more than 30 s, begins anew: unknown is busy.  Do not feed it while a filler
    is on the card (its own work would be seen): ``reset`` when one starts or the task changes.

    Args:
        after_s: ``hold_leased_after``.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._since_s: float | None = None
        self._last_s = 0.0

    def reset(self) -> None:
        """Begin anew."""
        self._since_s = None

    def feed(
        self, now_s: float, utilization_percent: float | None, used_bytes: int | None, total_bytes: int | None
    ) -> bool:
        """Whether the card is left idle by now.  Monotonic time; one reading of the device."""
        if self._since_s is not None and now_s - self._last_s > _LONGEST_GAP_S:
            self._since_s = None
        self._last_s = now_s
        if not self._is_idle(utilization_percent, used_bytes, total_bytes):
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s >= self._after_s

    def _is_idle(self, utilization_percent: float | None, used_bytes: int | None, total_bytes: int | None) -> bool:
        if utilization_percent is None or used_bytes is None or total_bytes is None:
            return False
        least_free_bytes = max(_LEAST_FREE_BYTES, int(_LEAST_FREE_FRACTION * total_bytes))
        return utilization_percent <= _IDLE_PERCENT and total_bytes - used_bytes >= least_free_bytes


class ComeBack:
    """For how long a card must have been quiet before a filler comes back to it after a tenant.

    60 s at first, twice as long after each further tenant, 30 min at most; and by chance up to half as long again, so
    that the fillers of two users who took each other for tenants do not come back together for ever.  A tenant that
    comes 30 min or more after the filler came back finds the first while again.  One for each card; it outlives the
    workers.

    Args:
        chance: evenly distributed from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._base_s = 0.0
        self._back_s: float | None = None
        self.wait_s = 0.0
        """How long that is; 0 as long as no tenant was seen."""

    def tenant_seen(self, now_s: float) -> None:
        """A tenant was seen and the filler has left, or leaves.  Call it once for each time."""
        long_ago = self._back_s is not None and now_s - self._back_s >= LONGEST_WAIT_S
        self._base_s = FIRST_WAIT_S if long_ago or not self._base_s else min(2 * self._base_s, LONGEST_WAIT_S)
        self.wait_s = self._base_s * (1 + self._chance() / 2)
        self._back_s = None

    def came_back(self, now_s: float) -> None:
        """The filler may come, from this moment on."""
        self._back_s = now_s
