"""The serial queues on a node's page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from gpu_queue.agent.livetry import LiveTry
from gpu_queue.agent.looking import Looking
from gpu_queue.agent.tries import Tries
from gpu_queue.reasons import Code
from gpu_queue.scheduling.facts import Facts
from gpu_queue.scheduling.plan import explain
from gpu_queue.spool.pages import QUEUES_PUBLISHED, QueuePage
from gpu_queue.spool.tallies import Tally, is_named
from gpu_queue.task import Waiting

_NUMBERS = re.compile(r"([0-9]{1,18})")


def told_queues(facts: Facts, looking: Looking, tries: Tries) -> tuple[tuple[QueuePage, ...], int]:
    """All of them that are told, and how many more there are; nothing is done where there are none."""
    view, busy, tallies = looking.view, looking.busy_queues, looking.tallies
    if not (view.queued or busy or tallies):
        return (), 0
    live = tries.live.values()
    taken = Counter(one.needs.queue for one in live if one.needs.queue and one.waited_as in facts.claiming)
    pending = {queue: count - taken[queue] for queue, count in view.queued.items()}
    again = {one.claim.task_id for one in live}
    if any(one.failed for one in tallies.values()):
        again.update(one.task_id for one in view.waiting if one.task_id)
    return queue_pages(pending, busy, tallies, live, resting(facts, view.returned), again)


def resting(facts: Facts, returned: Iterable[Waiting]) -> dict[str, tuple[int, float]]:
    """How often the tasks have failed that rest before they are tried again, and for how long they will, by id.

    Args:
        facts: of this node.
        returned: tasks that wait and have failed before.
    """
    tasks = [one for one in returned if one.task_id and one.name not in facts.claiming]
    if not tasks:
        return {}
    reasons = dict(explain(replace(facts, waiting=tasks, without_gpu=None), len(tasks)))
    rests = {}
    for one in tasks:
        why = reasons.get(one.name)
        if one.task_id and why is not None and why.code is Code.BACKOFF:
            rests[one.task_id] = (one.failures, why.number("left_s"))
    return rests


def queue_pages(
    pending: Mapping[str, int],
    busy: Mapping[str, str],
    tallies: Mapping[str, Tally],
    live: Iterable[LiveTry],
    rests: Mapping[str, tuple[int, float]],
    again: Collection[str],
) -> tuple[tuple[QueuePage, ...], int]:
    """Each serial queue that a person has named, and how many there are beyond what is told.

    Busy ones stand first, then those in which something waits.

    Args:
        pending: how many wait in each.
        busy: which are, with the ids of the tasks that hold them.
        tallies: what became of their tasks.
        live: what this node has in hand.
        rests: what rests before it is tried again (:func:`resting`).
        again: ids of tasks that wait or run, though they may have failed before.
    """
    running = Counter(one.needs.queue for one in live if one.needs.queue and not one.refusal)
    names = filter(is_named, {*pending, *busy, *tallies, *(queue for queue in running if queue)})
    pages = []
    for queue in names:
        holder, tally = busy.get(queue, ""), tallies.get(queue, Tally())
        failures, rests_s = rests.get(holder, (0, None))
        pages.append(
            QueuePage(
                queue,
                queue in busy,
                holder,
                max(0, pending.get(queue, 0)),
                running[queue],
                tally.done,
                sum(one not in again for one in tally.failed),
                failures,
                rests_s,
            )
        )
    pages.sort(key=lambda one: (not one.is_busy, one.rests_s is not None, not one.pending, natural(one.queue)))
    return tuple(pages[:QUEUES_PUBLISHED]), max(0, len(pages) - QUEUES_PUBLISHED)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """By which names with numbers in them stand as people count: ``q2`` before ``q10``."""
    parts = (part for part in _NUMBERS.split(name) if part)
    return tuple((0, int(part)) if part.isascii() and part.isdecimal() else (1, part) for part in parts)
