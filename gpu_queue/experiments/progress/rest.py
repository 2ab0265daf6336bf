"""How long runs still take, where it can be told honestly: by what others of their job have taken.  Pure.

What waits is laid onto as many places as there were of late, in the order in which it comes, with its queues and what
it comes after.  Told is it only where the runs of a job are alike, and where three of them have been done.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from gpu_queue.experiments.progress.nouns import Item, Phase, Rest

DONE_MIN = 3
"""So many of a job have to be done before the others are expected to take as long."""
SPREAD_MAX = 2.5
"""Where the slowest took so many times what the fastest did, the next one may take anything."""
LATE = 1.1
"""One that runs so many times as long as the slowest shows that they are not alike."""
UNKNOWN_MAX = 0.2
"""Where more of all runs are left of jobs of which nobody knows how long they take, not even the least is told."""


@dataclass(frozen=True)
class _Typical:
    mean_s: float
    slowest_s: float


def rests(items: Sequence[Item], waiting: Sequence[Item], places: int, now: float) -> dict[str, Rest | None]:
    """By group how long it still takes; None, or no entry: nobody can tell.

    Args:
        items: all runs.
        waiting: those of them that wait, in the order in which they come.
        places: how many run at once.
        now: epoch seconds.
    """
    typical = _typical(items)
    running = [one for one in items if one.phase is Phase.RUNNING]
    left = [*running, *waiting]
    unknown = {one.run.name for one in left if typical.get(one.run.job) is None}
    if not running or len(unknown) > UNKNOWN_MAX * len(items):
        return {}
    if len({one.run.gpus for one in left if one.run.name not in unknown}) > 1:
        return {}  # the places are not of one size
    if any(_is_late(one, typical, now) for one in running):
        return {}
    ends = _laid_out(running, waiting, typical, max(places, len(running)), now)
    found: dict[str, Rest | None] = {}
    for one in left:
        old, end = found.get(one.run.group), ends.get(one.run.name, now)
        is_least = one.run.name in unknown or (old is not None and old.is_least)
        found[one.run.group] = Rest(max(end, old.until if old is not None else end), is_least)
    # Of a group of which nothing is known there is nothing to tell.
    known = {one.run.group for one in left if one.run.name not in unknown}
    return {group: rest if group in known else None for group, rest in found.items()}


def _typical(items: Sequence[Item]) -> Mapping[str, _Typical | None]:
    took: dict[str, list[float]] = {}
    for one in items:
        if one.phase is Phase.DONE and one.standing.ran_s is not None:
            took.setdefault(one.run.job, []).append(one.standing.ran_s)
    return {
        job: _Typical(fmean(each), max(each))
        for job, each in took.items()
        if len(each) >= DONE_MIN and max(each) <= SPREAD_MAX * min(each)
    }


def _is_late(one: Item, typical: Mapping[str, _Typical | None], now: float) -> bool:
    found = typical.get(one.run.job)
    since = one.standing.since
    return found is not None and since is not None and now - since > LATE * found.slowest_s


def _laid_out(
    running: Sequence[Item],
    waiting: Sequence[Item],
    typical: Mapping[str, _Typical | None],
    places: int,
    now: float,
) -> dict[str, float]:
    """When each run ends; those of which nobody knows how long they take end as they start."""
    ends: dict[str, float] = {}
    free: list[float] = [now] * (places - len(running))
    queues: dict[str, float] = {}
    for one in running:
        found, since = typical.get(one.run.job), one.standing.since
        began = now if since is None else since
        end = now
        if found is not None:  # one that runs longer than most may be the slowest
            end = max(now, began + (found.mean_s if now - began < found.mean_s else found.slowest_s))
        ends[one.run.name] = end
        free.append(end)
        if one.run.queue:
            queues[one.run.queue] = end
    heapq.heapify(free)
    for one in waiting:
        found = typical.get(one.run.job)
        start = heapq.heappop(free)
        ready = max((start, queues.get(one.run.queue or "", now), *(ends.get(name, now) for name in one.run.after)))
        end = ready + (found.mean_s if found is not None else 0.0)
        # A place is not kept for one that waits for something else than a place.
        heapq.heappush(free, start if ready > start else end)
        ends[one.run.name] = end
        if one.run.queue:
            queues[one.run.queue] = end
    return ends
