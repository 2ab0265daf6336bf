"""Whether somebody else is at work on a card that a filler holds.  Pure.

Lists of processes are not asked: in a container they are wrong or empty.  Three signs are, each from numbers alone:

- memory: the card's used memory grew by 200 MiB that the filler does not hold.  A CUDA context takes 250 to 600 MiB
  before its first allocation, so this is the earliest sign, and one reading is enough.
- utilisation: more than 10 points above what the filler's own busy share explains, for two readings, each a mean
  over half a second, for a gauge of a short window scatters.  The gauge looks back up to 2 s, so it is held against
  the most that the filler did in that time.  What a gauge adds of its own is learned in the first seconds.
- stretch: the filler's kernels take longer than alone.  Two contexts that are both busy take turns, which makes it
  twice as long; a lower clock or power cap makes it 1.2 and, rarely, 1.4.  The worker itself notices 1.5; a light one
  leaves at 1.3 in one report.

A light filler beside a task (``strict``) takes the first hint for a sign, and smaller ones.  Some work still hides
behind it: a task that works 20 % of the time adds 4 points to a filler of 77.5 %, and needs no new memory.  So a
light filler falls silent now and then and listens (``Listener``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gpu_queue.units import format_size

MEMORY_DELTA_BYTES = 200 << 20
STRICT_MEMORY_DELTA_BYTES = 64 << 20
UNEXPLAINED_PERCENT = 10.0
STRICT_STRETCH = 1.3

CONTEXT_BYTES = 1536 << 20
"""What the filler may use beyond what it holds: context, kernels' code, workspaces.  More is not ours."""
_GAUGE_LOOKS_BACK_S = 2.5
"""Window and lag of the gauge, each up to 1 s, and the filler's reports, each about 0.5 s."""
_APART_S = 0.7
"""Two readings closer than this look at the same window and count as one."""
_BOOKS_SETTLE_S = 1.5
"""Readings of memory and reports of what is held are not of one moment: after a change, wait."""
_FALLEN_FOR_S = 5.0
_LEARN_FROM_S = 3.0
_LEARN_READINGS = 5
_LARGEST_OFFSET_PERCENT = 20.0
_HEARD_PERCENT = 3.0
_IN_STEP = 1.2
"""Kernels no more stretched than this run alone."""


@dataclass(frozen=True)
class Sample:
    """What is known of a card at one moment; None: not known, or nothing new since the last sample."""

    now_s: float
    """Monotonic; never earlier than the last one's."""
    used_bytes: int | None = None
    """Of the whole card, as the device reports it."""
    utilization_percent: float | None = None
    """Mean over half a second."""
    own_bytes: int | None = None
    """What the filler last said that it holds; None until it said so for the first time (it is starting)."""
    busy: float | None = None
    """The filler's share of time with a kernel running, 0..1, from its last report; 0 while it is paused."""
    stretch: float | None = None
    """Mean kernel time against the calibrated one, only with a new report."""
    duty: float | None = None
    """What the filler was told last: it explains what the gauge shows before the next report does."""


class TenantDetector:
    """Looks for others on one card while one filler is on it.  Make a new one for each worker, before it starts.

    Args:
        before_bytes: the card's used memory before the worker was started; None: not known.
        strict: the filler is a light one beside a task, and leaves at the first sign.
    """

    def __init__(self, before_bytes: int | None, *, strict: bool = False) -> None:
        self._before_bytes = before_bytes
        self._strict = strict
        self._own_bytes: int | None = None
        self._own_changed_s = 0.0
        self._holding_since_s: float | None = None
        self._others_bytes: int | None = None  # used by all but our ballast, when we had just settled
        self._fallen: tuple[float, int] | None = None
        self._busy: deque[tuple[float, float]] = deque()
        self._duty: float | None = None
        self._offset_percent: float | None = None
        self._learned: list[float] = []
        self._unexplained_s: float | None = None

    @property
    def suspects(self) -> bool:
        """A first sign was seen, and waits for its second: the duty is to be held meanwhile."""
        return self._unexplained_s is not None

    def feed(self, sample: Sample) -> str:
        """What tells that somebody else is at work, in words for people; ``""`` if nothing does.

        Feed every sample, as often as there are any; memory alone may come ten times a second.
        """
        if sample.own_bytes is not None and sample.own_bytes != self._own_bytes:
            self._own_bytes = sample.own_bytes
            self._own_changed_s = sample.now_s
        if self._own_bytes is not None and self._holding_since_s is None:
            self._holding_since_s = sample.now_s
        if sample.busy is not None:
            self._busy.append((sample.now_s, sample.busy))
        if sample.duty is not None and sample.duty != self._duty:
            self._duty = sample.duty
            self._busy.append((sample.now_s, sample.duty))
        while self._busy and sample.now_s - self._busy[0][0] > _GAUGE_LOOKS_BACK_S:
            self._busy.popleft()
        return self._by_memory(sample) or self._by_stretch(sample) or self._by_utilization(sample)

    def _by_memory(self, sample: Sample) -> str:
        if sample.used_bytes is None or self._own_bytes is None:
            return ""
        others_bytes = sample.used_bytes - self._own_bytes
        if self._others_bytes is None:
            return self._first_memory(sample.now_s, others_bytes)
        least_bytes = STRICT_MEMORY_DELTA_BYTES if self._strict else MEMORY_DELTA_BYTES
        grown_bytes = others_bytes - self._others_bytes
        if grown_bytes >= 0:
            self._fallen = None
        elif self._fallen is None or others_bytes > self._fallen[1]:
            self._fallen = (self._fallen[0] if self._fallen else sample.now_s, others_bytes)
        if self._fallen is not None and sample.now_s - self._fallen[0] >= _FALLEN_FOR_S:
            self._others_bytes, self._fallen = self._fallen[1], None  # somebody left for good
        if grown_bytes < least_bytes or sample.now_s - self._own_changed_s < _BOOKS_SETTLE_S:
            return ""
        return f"memory grew by {format_size(grown_bytes)} that is not ours"

    def _first_memory(self, now_s: float, others_bytes: int) -> str:
        """Right after the start: what is there beyond the ballast is what was before, and our context."""
        if now_s - self._own_changed_s < _BOOKS_SETTLE_S:
            return ""
        self._others_bytes = others_bytes
        if self._before_bytes is None or others_bytes - self._before_bytes <= CONTEXT_BYTES:
            return ""
        return f"memory grew by {format_size(others_bytes - self._before_bytes)} that is not ours while we started"

    def _by_stretch(self, sample: Sample) -> str:
        if not self._strict or sample.stretch is None or sample.stretch < STRICT_STRETCH:
            return ""
        return f"our kernels take {sample.stretch:.1f}x their time"

    def _by_utilization(self, sample: Sample) -> str:
        if sample.utilization_percent is None or self._holding_since_s is None or not self._busy:
            return ""
        own_percent = 100 * max(busy for _, busy in self._busy)
        excess = sample.utilization_percent - own_percent
        offset = self._learn_offset(sample, excess)
        if excess - offset <= UNEXPLAINED_PERCENT:
            self._unexplained_s = None
            return ""
        if self._unexplained_s is None:
            self._unexplained_s = sample.now_s
            if not self._strict:
                return ""
        elif sample.now_s - self._unexplained_s < _APART_S:
            return ""
        return f"utilisation {sample.utilization_percent:.0f} % where ours explains {own_percent:.0f} %"

    def _learn_offset(self, sample: Sample, excess: float) -> float:
        """How much the gauge shows beyond our busy share while we are alone.

        It may count the short pauses between two bursts as work.  Without this, a card with such a gauge would seem
        to have a tenant for ever.  A tenant that is there from the first second is told by more than this, or by the
        other signs.
        """
        if self._offset_percent is not None:
            return self._offset_percent
        assert self._holding_since_s is not None
        if sample.now_s - self._holding_since_s >= _LEARN_FROM_S and (sample.stretch or 1.0) <= _IN_STEP:
            self._learned.append(min(max(excess, 0.0), _LARGEST_OFFSET_PERCENT))
        if len(self._learned) < _LEARN_READINGS:
            return _LARGEST_OFFSET_PERCENT
        self._offset_percent = sum(self._learned) / len(self._learned)
        return self._offset_percent


class Listener:
    """Turns in which a light filler is silent, to hear whether the task beside it works.  One for each filler.

    In each turn of ``for_s`` the filler pauses (duty 0), its controller is not stepped, and afterwards ``restart``ed.
    A reading counts from the time on at which the gauge can only show what others do.

    Args:
        every_s: from turn to turn; the silence takes ``for_s / every_s`` off the mean utilisation.
        for_s: length of a turn; longer than the gauge looks back.
    """

    def __init__(self, every_s: float = 60.0, for_s: float = 3.5) -> None:
        self._every_s = every_s
        self._for_s = for_s
        self._next_s: float | None = None
        self._since_s: float | None = None

    def step(self, now_s: float, utilization_percent: float | None) -> tuple[bool, str]:
        """Whether to be silent until the next step, and what was heard, in words; ``""``: nothing.

        Args:
            now_s: monotonic; about twice a second, so that a turn has readings.
            utilization_percent: of the whole card; None: it could not be read.
        """
        if self._next_s is None:
            self._next_s = now_s + self._every_s
        if self._since_s is None:
            if now_s >= self._next_s:
                self._since_s = now_s
            return self._since_s is not None, ""
        silent_s = now_s - self._since_s
        if (
            utilization_percent is not None
            and silent_s >= _GAUGE_LOOKS_BACK_S
            and utilization_percent > _HEARD_PERCENT
        ):
            return True, f"utilisation {utilization_percent:.0f} % while we were silent"
        if silent_s < self._for_s:
            return True, ""
        self._since_s, self._next_s = None, now_s + self._every_s
        return False, ""
