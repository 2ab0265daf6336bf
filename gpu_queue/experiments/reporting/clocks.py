"""Moments by the clocks of several machines, brought to one: the storage's, which dated every file.  Pure.

- A record says when it was written, by its writer's clock; the storage says the same by its own.  The difference is
  about the same in all files of one writer: so far his clock is off.
- Where it is not, the files were copied, or a clock was set meanwhile: then moments stay as they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from gpu_queue.experiments.reporting.facts import RunFacts, Written

STEADY_S = 10.0
"""Stamps of a thousand scripts run ahead by a second, and a busy storage takes its time."""
STEADY_SHARE = 0.8
"""Of a writer's files; the others waited for a storage that hung."""
FARTHEST_S = 86400.0
"""No clock is off by more; files that are so much younger than what they say were copied."""
TOLD_S = 5.0
"""Smaller differences are told to nobody."""


@dataclass(frozen=True)
class Clocks:
    """How far the clocks of machines are behind the storage's, in seconds."""

    behind_s: Mapping[str, float] = field(default_factory=dict)
    are_known: bool = False
    """False: nothing can be told of them, and moments are taken as they were written."""

    def common_s(self, by: str, at_s: float | None) -> float | None:
        """A moment by the clock that all have in common.

        Args:
            by: whose clock it was told by.
            at_s: epoch seconds by that.
        """
        return None if at_s is None else at_s + self.behind_s.get(by, 0.0)

    def submitted_s(self, submitted: Written | None) -> float | None:
        """When something was submitted: its record was written then, and never again."""
        if submitted is None:
            return None
        return submitted.stored_s if self.are_known else submitted.at_s

    @property
    def off(self) -> dict[str, float]:
        """By how many seconds each clock is ahead of the storage's, of those where that is worth a word."""
        return {by: -behind_s for by, behind_s in sorted(self.behind_s.items()) if abs(behind_s) > TOLD_S}


def clocks_of(runs: Sequence[RunFacts], beats: Iterable[Written] = ()) -> Clocks:
    """What can be told of the clocks of all that wrote of some runs.

    Args:
        runs: what they wrote.
        beats: what nodes have written of themselves.
    """
    by: dict[str, list[float]] = {}
    for one in (*_moments(runs), *beats):
        by.setdefault(one.by, []).append(one.stored_s - one.at_s)
    behind_s = {name: median(some) for name, some in by.items()}
    for name, some in by.items():
        steady = sum(abs(one - behind_s[name]) <= STEADY_S for one in some)
        if steady < STEADY_SHARE * len(some) or abs(behind_s[name]) > FARTHEST_S:
            return Clocks()
    clocks = Clocks(behind_s, are_known=bool(by))
    return clocks if all(_is_in_order(run, clocks) for run in runs) else Clocks()


def _moments(runs: Sequence[RunFacts]) -> Iterator[Written]:
    for run in runs:
        yield from filter(None, (run.submitted, *(one.clock for one in run.tries)))


def _is_in_order(run: RunFacts, clocks: Clocks) -> bool:
    submitted_s = clocks.submitted_s(run.submitted)
    started = [clocks.common_s(one.node, one.started_s) for one in run.tries[:1]]
    return submitted_s is None or all(one is None or one >= submitted_s - STEADY_S for one in started)
