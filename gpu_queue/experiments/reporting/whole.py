"""A report: the runs of one or several groups with their figures, put together from what is known.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_queue.experiments.reporting.clocks import Clocks, clocks_of
from gpu_queue.experiments.reporting.facts import RunFacts, Written
from gpu_queue.experiments.reporting.figures import RunFigures, Sum, figures, summed
from gpu_queue.units import format_duration


@dataclass(frozen=True)
class GroupReport:
    """The runs that are reported together."""

    name: str
    files: tuple[str, ...]
    """Those that they were loaded from."""
    runs: tuple[RunFigures, ...]
    """As they are to be told; of each the task that counts."""
    sum: Sum
    earlier: tuple[RunFigures, ...]
    """Tasks of the same runs that were queued before, and began."""
    earlier_sum: Sum


@dataclass(frozen=True)
class Report:
    """All that was asked for."""

    now_s: float
    """Epoch seconds by the common clock."""
    groups: tuple[GroupReport, ...]
    sum: Sum
    """Of all runs."""
    notes: tuple[str, ...]
    """What to know of the figures, for people."""


def report(tasks: Sequence[RunFacts], now_s: float, now_here_s: float, beats: Sequence[Written] = ()) -> Report:
    """What runs took.

    Args:
        tasks: what is known of their tasks, in the order in which they are to be told.
        now_s: epoch seconds by the storage's clock.
        now_here_s: by ours.
        beats: what nodes have written of themselves.
    """
    clocks = clocks_of(tasks, beats)
    now = now_s if clocks.are_known else now_here_s
    by_group: dict[str, list[RunFigures]] = {}
    for one in tasks:
        if one.submission.experiment is not None:
            by_group.setdefault(one.submission.experiment.group, []).append(figures(one, clocks, now))
    groups = tuple(_group(name, runs, now) for name, runs in by_group.items())
    every = [run for group in groups for run in group.runs]
    return Report(now, groups, summed(every, now), tuple(_notes(every, clocks)))


def _group(name: str, tasks: list[RunFigures], now_s: float) -> GroupReport:
    runs = tuple(one for one in tasks if one.facts.is_current)
    earlier = tuple(one for one in tasks if not one.facts.is_current and one.tries)
    parts = [one.facts.submission.experiment for one in runs]
    files = tuple(dict.fromkeys(part.file for part in parts if part is not None))
    return GroupReport(name, files, runs, summed(runs, now_s), earlier, summed(earlier, now_s))


def _notes(runs: list[RunFigures], clocks: Clocks) -> list[str]:
    off = [
        f"the clock of {name} is {format_duration(abs(ahead_s))} {'ahead' if ahead_s > 0 else 'behind'}"
        for name, ahead_s in clocks.off.items()
    ]
    if off:
        return [f"{', '.join(off)}: moments are told by the storage's"]
    if not clocks.are_known and any(run.tries for run in runs):
        return [
            "waiting times are by the clocks of several machines, which may differ: the files tell nothing of them"
        ]
    return []
