"""Which tasks wait (``--after``) for those that will fail, and fail with them.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpu_queue.reasons import Code
from gpu_queue.spool.snapshot.waiting import WaitingTasks


def published(waiting: WaitingTasks, first: int) -> dict[str, tuple[str, ...]]:
    """What the first waiting tasks come after, as nodes publish it; those of which none tells are not among them.

    Args:
        waiting: all that wait.
        first: so many are looked at.
    """
    found = {}
    for one in waiting[:first]:
        told = {name for why in one.reasons if why.reason.code is Code.AFTER for name in why.reason.items("tasks")}
        if one.task_id is not None and told:
            found[one.task_id] = tuple(sorted(told))
    return found


def depending_on(failing: Iterable[str], after: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The ids of all that come after these, directly or after one another, and are none of them.

    Args:
        failing: ids of tasks that go to failed/.
        after: what each waiting task comes after.
    """
    waiters: dict[str, list[str]] = {}
    for one, before in after.items():
        for upstream in before:
            waiters.setdefault(upstream, []).append(one)
    first = set(failing)
    seen = set(first)
    found: list[str] = []
    ahead = list(first)
    while ahead:
        for one in waiters.get(ahead.pop(), ()):
            if one not in seen:
                seen.add(one)
                found.append(one)
                ahead.append(one)
    return sorted(found)
