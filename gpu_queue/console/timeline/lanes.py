"""One GPU's lane as its history grows: what is over is drawn once, and encoded once.  Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from gpu_queue.console.timeline.drawing import SEAM_S, drawn
from gpu_queue.console.timeline.story import GpuStory, Interval

EVER_S = float("inf")
LATE_S = 10.0
"""What is told of a moment comes no later."""
SAME_S = 1.0
"""No clock is told more exactly."""
SETTLES_AT = 16
"""So many intervals that are over are put away together."""


class Lane:
    """Drawn from its beginning on, and cut to what somebody wants to see.  Moments by its node's clock."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self.intervals: list[Interval] = []
        """All of it, in the order of their beginnings."""
        self._fragments: list[bytes | None] = []
        self._begins: list[float] = []
        self._reached: list[float] = []
        """How far all up to each reach."""
        self._settled = 0
        """So many of them never change."""
        self._cut_s = -EVER_S
        """These end before it, but for the one after them, which may still grow."""
        self._rest: list[Interval] = []
        """What was told, and reaches over that."""
        self._taken = 0
        self._since_s = EVER_S
        self._drawn_of: tuple[object, ...] = ()
        self._behind_s = 0.0

    def take(self, gpu: GpuStory, going_on: Sequence[Interval], told_s: float) -> None:
        """Draw what is new.

        Args:
            gpu: what is told of it.
            going_on: of that, what is not over.
            told_s: when something was told last, of whatever GPU.
        """
        is_of = (gpu.since_s, gpu.forgotten, len(gpu.past), *going_on)
        if is_of == self._drawn_of:
            return
        self._drawn_of = is_of
        new = gpu.past[max(0, self._taken - gpu.forgotten) :]
        is_late = any(one.use == "task" and one.begin_s < self._cut_s for one in new)
        if is_late or gpu.since_s != self._since_s or self._taken < gpu.forgotten:
            self._settled, self._cut_s, self._rest, new = 0, -EVER_S, [], gpu.past
        self._since_s, self._taken = gpu.since_s, gpu.forgotten + len(gpu.past)
        self._rest += new
        self._draw(going_on)
        self._settle(min((one.begin_s for one in going_on), default=told_s), told_s)

    def _draw(self, going_on: Sequence[Interval]) -> None:
        # The last one that is over may be continued by the next.
        last = self.intervals[self._settled : self._settled + 1] if self._settled else []
        since_s = max(self._since_s, last[0].begin_s if last else -EVER_S)
        self._put(self._settled, drawn([*last, *self._rest, *going_on], -EVER_S, EVER_S, since_s, EVER_S))

    def _put(self, at: int, intervals: Iterable[Interval]) -> None:
        for part in (self.intervals, self._fragments, self._begins, self._reached):
            del part[at:]
        reached_s = self._reached[-1] if at else -EVER_S
        for one in intervals:
            reached_s = max(reached_s, _end(one))
            self.intervals.append(one)
            self._fragments.append(None)
            self._begins.append(one.begin_s)
            self._reached.append(reached_s)

    def _settle(self, open_since_s: float, told_s: float) -> None:
        """Put away what cannot change any more, up to a moment that nothing reaches over."""
        until_s = min(open_since_s, told_s) - LATE_S
        for at in range(bisect_right(self._begins, until_s) - 1, self._settled + SETTLES_AT, -1):
            before = self.intervals[at - 1]
            if self._reached[at - 1] == _end(before) <= self._begins[at]:
                self._settled, self._cut_s = at - 1, self._begins[at]
                self._rest = [_clipped(one, self._cut_s) for one in self._rest if _end(one) > self._cut_s]
                return

    def between(self, from_s: float, to_s: float, now_s: float) -> list[int]:
        """The numbers of the intervals that lie between two moments, or reach over one of them."""
        first, end = bisect_right(self._reached, from_s), bisect_left(self._begins, to_s)
        found = [at for at in range(first, end) if _end(self.intervals[at]) > from_s]
        if found:
            last = self.intervals[found[-1]]
            if last.use == "unknown" and last.end_s is None and now_s - last.begin_s <= SEAM_S:
                found.pop()  # its agent is about to tell
        return found

    def move(self, behind_s: float) -> None:
        """Its node's clock is so much behind; a second more or less changes nothing."""
        if abs(behind_s - self._behind_s) > SAME_S:
            self._behind_s = behind_s
            self._fragments = [None] * len(self.intervals)

    def encoded(self, numbers: Iterable[int], encode: Callable[[Interval], tuple[bytes, bool]]) -> list[bytes]:
        """Intervals as JSON.

        Args:
            numbers: theirs.
            encode: tells how one is written, and whether that is the last word.
        """
        found = []
        for at in numbers:
            text = self._fragments[at]
            if text is None:
                text, is_last = encode(moved(self.intervals[at], self._behind_s))
                self._fragments[at] = text if is_last else None
            found.append(text)
        return found


def _end(one: Interval) -> float:
    return EVER_S if one.end_s is None else one.end_s


def _clipped(one: Interval, from_s: float) -> Interval:
    return one._replace(begin_s=from_s) if one.begin_s < from_s else one


def moved(one: Interval, by_s: float) -> Interval:
    """The same, so much later."""
    if not by_s:
        return one
    return one._replace(begin_s=one.begin_s + by_s, end_s=None if one.end_s is None else one.end_s + by_s)
