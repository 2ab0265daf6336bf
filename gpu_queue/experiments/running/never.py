"""Runs that the GPUs of this machine can never run, once nothing else is left: nobody is to wait for them.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.experiments.progress.nouns import Item, Progress
from gpu_queue.experiments.progress.sentences import why_first
from gpu_queue.reasons import Code

LASTS_S = 3.0
"""A page may be older than the last change of what waits."""
TOLD_MAX = 10
_NEVER = (Code.INFEASIBLE, Code.MEMORY, Code.PINNED)


@dataclass(frozen=True)
class Never:
    """Since when nothing else is left, at one look after the other."""

    since: float | None = None
    """Monotonic seconds; None: something runs, or may."""

    def look(self, progress: Progress, now: float) -> Never:
        """What the next look has found."""
        if not is_left_alone(progress):
            return Never()
        return self if self.since is not None else Never(now)

    def is_sure(self, now: float) -> bool:
        """Whether it has lasted."""
        return self.since is not None and now - self.since >= LASTS_S


def is_left_alone(progress: Progress) -> bool:
    """Whether all that is left can never run here, or comes after such."""
    codes = [one.standing.reason.code if one.standing.reason is not None else None for one in progress.waiting]
    may_end = all(code in (*_NEVER, Code.AFTER) for code in codes)
    return not progress.running and may_end and any(code in _NEVER for code in codes)


def told(progress: Progress) -> tuple[str, ...]:
    """A line for each of them."""
    found = [_line(one) for one in progress.waiting if one.standing.reason and one.standing.reason.code in _NEVER]
    more = (f"and {len(found) - TOLD_MAX} more",) if len(found) > TOLD_MAX else ()
    return (*found[:TOLD_MAX], *more)


def _line(item: Item) -> str:
    return f"{item.run.name}: {why_first(item)}"
