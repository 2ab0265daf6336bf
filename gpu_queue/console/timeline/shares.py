"""What GPUs were used for, summed up over time, and by whose tasks.  Pure.

A node may have told ten thousand intervals of each GPU: each is looked at once, and costs the same however many steps
it covers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter

from gpu_queue.console.timeline.story import Interval

_begin = itemgetter(0)
USES = ("task", "keepalive", "idle", "foreign", "lost", "unknown")


@dataclass(frozen=True)
class Grid:
    """Steps of one length; moments in epoch seconds.  A range may begin within the first and end in the last."""

    first_s: float
    step_s: float
    count: int
    asked_from_s: float = float("-inf")
    asked_to_s: float = float("inf")

    @property
    def from_s(self) -> float:
        """Nothing before that counts."""
        return max(self.first_s, self.asked_from_s)

    @property
    def until_s(self) -> float:
        """Nothing after that counts."""
        return min(self.first_s + self.step_s * self.count, self.asked_to_s)

    def lengths_s(self, until_s: float) -> list[float]:
        """What of each step counts, until a moment; 0: nothing."""
        begins = [self.first_s + place * self.step_s for place in range(self.count)]
        last_s = min(self.until_s, until_s)
        return [max(0.0, min(one + self.step_s, last_s) - max(one, self.from_s)) for one in begins]


class Sums:
    """Seconds in each step of a grid."""

    def __init__(self, grid: Grid) -> None:
        self._first_s, self._step_s = grid.first_s, grid.step_s
        self._from_s, self._until_s = grid.from_s, grid.until_s
        self._parts = [0.0] * (grid.count + 1)
        self._whole = [0] * (grid.count + 2)
        """How many intervals begin, less how many end, to cover whole steps from here on."""

    def add(self, begin_s: float, end_s: float, sign: int = 1) -> None:
        """Add what of an interval lies in the grid, or take it away."""
        begin_s = begin_s if begin_s > self._from_s else self._from_s
        end_s = end_s if end_s < self._until_s else self._until_s
        if end_s <= begin_s:
            return
        step_s = self._step_s
        begin, end = (begin_s - self._first_s) / step_s, (end_s - self._first_s) / step_s
        at, to = int(begin), int(end)
        if at == to:
            self._parts[at] += sign * (end_s - begin_s)
            return
        self._parts[at] += sign * (at + 1 - begin) * step_s
        self._parts[to] += sign * (end - to) * step_s
        self._whole[at + 1] += sign
        self._whole[to] -= sign

    def seconds(self) -> list[float]:
        """Of each step."""
        whole = accumulate(self._whole[:-2])
        return [max(0.0, part + self._step_s * times) for part, times in zip(self._parts, whole, strict=False)]


@dataclass
class Shares:
    """Of some GPUs, one after the other."""

    grid: Grid
    uses: dict[str, Sums] = field(init=False)
    gpus: int = 0
    """Of which anything is known in that time."""
    since_s: float | None = None
    """The first moment of which anything is known of any of them."""

    def __post_init__(self) -> None:
        self.uses = {use: Sums(self.grid) for use in USES}

    def add(self, told: Sequence[Interval], since_s: float, until_s: float) -> None:
        """One GPU.

        Where several tasks share it that counts once; where a task and another use are told of one moment, it was the
        task's; where nothing was told between two moments of which something was, no agent was there: ``unknown``.

        Args:
            told: all that is known of it, in any order.
            since_s: before that nothing is known.
            until_s: it is there no more since then; where it is, that is now.
        """
        if until_s <= since_s:
            return
        self.since_s = since_s if self.since_s is None else min(self.since_s, since_s)
        from_s, to_s = self.grid.from_s, min(self.grid.until_s, until_s)
        if until_s <= from_s or since_s >= to_s:
            return
        self.gpus += 1
        uses, unknown = self.uses, self.uses["unknown"]
        tasks = uses["task"]
        use, use_until_s = unknown, float("-inf")
        held_s = reached_s = max(since_s, from_s)
        for begin_s, end, name, _ in sorted(told, key=_begin):
            end_s = until_s if end is None or end > until_s else end
            if end_s <= from_s or begin_s >= to_s:
                continue
            if begin_s > reached_s:
                unknown.add(reached_s, begin_s)
            if name == "task":
                begin_s = begin_s if begin_s > held_s else held_s  # noqa: PLW2901
                if begin_s < end_s:
                    tasks.add(begin_s, end_s)
                    if begin_s < use_until_s:
                        use.add(begin_s, min(end_s, use_until_s), -1)
                    held_s = end_s
            else:
                begin_s = begin_s if begin_s > reached_s else reached_s  # noqa: PLW2901
                if begin_s < end_s:
                    use, use_until_s = uses.get(name, unknown), end_s
                    use.add(begin_s, end_s)
            reached_s = end_s if end_s > reached_s else reached_s
        unknown.add(reached_s, until_s)


@dataclass
class Spent:
    """GPU-seconds of one try."""

    gpu_s: float = 0.0
    by_day: dict[int, float] = field(default_factory=dict)
    """By the place of a day."""


@dataclass
class Spending:
    """How long each try held GPUs between two moments, GPU by GPU."""

    from_s: float
    to_s: float
    days_s: Sequence[float]
    """When days begin, ascending; the first not after ``from_s``."""
    tries: dict[str, Spent] = field(default_factory=dict)
    """By the name of their claim."""

    def add(self, told: Sequence[Interval]) -> None:
        """One GPU; of a use that goes on, until ``to_s``."""
        from_s, to_s, days_s = self.from_s, self.to_s, self.days_s
        for begin_s, end, name, claim in told:
            if name != "task" or not claim:
                continue
            end_s = to_s if end is None or end > to_s else end
            begin_s = begin_s if begin_s > from_s else from_s  # noqa: PLW2901
            if begin_s >= end_s:
                continue
            one = self.tries.get(claim)
            if one is None:
                one = self.tries[claim] = Spent()
            one.gpu_s += end_s - begin_s
            day = max(0, bisect_right(days_s, begin_s) - 1)
            while begin_s < end_s:
                until_s = days_s[day + 1] if day + 1 < len(days_s) else end_s
                until_s = until_s if until_s < end_s else end_s
                one.by_day[day] = one.by_day.get(day, 0.0) + until_s - begin_s
                begin_s, day = until_s, day + 1  # noqa: PLW2901
