"""A lane as it is drawn: what lies between two moments, without overlaps and without holes.  Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import neg

from gpu_queue.console.timeline.story import Interval

SEAM_S = 3.0
"""What a GPU is used for is looked at once a second: smaller holes are none."""


def drawn(told: Iterable[Interval], from_s: float, to_s: float, since_s: float, now_s: float) -> list[Interval]:
    """The part of a lane that lies between two moments, in order; where nothing is known it is ``unknown``.

    Tries of several tasks that share a GPU overlap as they did.

    Args:
        told: what is known, in any order.
        from_s: the beginning, in epoch seconds by the clock of ``told``.
        to_s: the end.
        since_s: before that nothing is known; there the lane is empty.
        now_s: what goes on, goes on until then.
    """
    inside = [one for one in told if one.begin_s < to_s and (one.end_s is None or one.end_s > from_s)]
    tasks = sorted((one for one in inside if one.use == "task"), key=lambda one: one.begin_s)
    uses = sorted((one for one in inside if one.use != "task"), key=lambda one: one.begin_s)
    below = [one for one in beside(uses, tasks, now_s) if one.begin_s < to_s and end_of(one, now_s) > from_s]
    shown = sorted([*tasks, *below], key=lambda one: (one.begin_s, one.use))
    return _without_holes(shown, max(from_s, since_s), min(to_s, now_s), now_s)


def beside(uses: Sequence[Interval], tasks: Sequence[Interval], now_s: float) -> list[Interval]:
    """Uses without what lies under a task: they are told up to a second late.

    Args:
        uses: in the order of their beginnings.
        tasks: in the same order.
        now_s: what goes on, goes on until then.
    """
    found, at = [], 0
    for use in uses:
        begin_s, end_s = use.begin_s, now_s if use.end_s is None else use.end_s
        while at < len(tasks) and end_of(tasks[at], now_s) <= begin_s:
            at += 1
        for place in range(at, len(tasks)):
            task = tasks[place]
            if task.begin_s >= end_s:
                break
            if task.begin_s > begin_s:
                found.append(use._replace(begin_s=begin_s, end_s=task.begin_s))
            begin_s = max(begin_s, end_of(task, now_s))
        if begin_s < end_s:
            found.append(use._replace(begin_s=begin_s))
    return found


def _without_holes(shown: Sequence[Interval], from_s: float, to_s: float, now_s: float) -> list[Interval]:
    lane: list[Interval] = []
    reached_s = from_s
    for one in shown:
        hole_s = one.begin_s - reached_s
        if hole_s > SEAM_S:
            lane.append(Interval(reached_s, one.begin_s, "unknown"))
        elif hole_s > 0 and one.use != "task" and lane:
            one = one._replace(begin_s=reached_s)  # noqa: PLW2901  it closes the seam
        if lane and _continues(lane[-1], one):
            lane[-1] = lane[-1]._replace(end_s=None if one.end_s is None else max(one.end_s, end_of(lane[-1], now_s)))
        else:
            lane.append(one)
        reached_s = max(reached_s, end_of(one, now_s))
    if to_s - reached_s > SEAM_S:
        lane.append(Interval(reached_s, None if to_s >= now_s else to_s, "unknown"))
    return lane


def _continues(before: Interval, one: Interval) -> bool:
    is_same = (before.use, before.claim) == (one.use, one.claim)
    return is_same and before.end_s is not None and one.begin_s - before.end_s <= SEAM_S


def end_of(one: Interval, now_s: float) -> float:
    """When an interval ends; what goes on, goes on until now."""
    return now_s if one.end_s is None else one.end_s


def least_of(lengths: list[float], at_most: int) -> tuple[float, int]:
    """Of too many intervals the longest stay: the shortest length that does, and how many of that length do.

    Args:
        lengths: of all of them.
        at_most: how many may stay.
    """
    if len(lengths) <= at_most:
        return -1.0, 0
    lengths.sort(reverse=True)
    least_s = lengths[at_most - 1]
    return least_s, at_most - bisect_left(lengths, -least_s, 0, at_most, key=neg)
