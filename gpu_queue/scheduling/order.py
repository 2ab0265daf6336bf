"""In which order the tasks of a shared server have their turn.  Pure.

- By priority; among equals those first that need more GPUs; among those in order of submission.
- Where heads of queues follow each other in that order, their places are drawn among them, so that no queue has the
  better place for having been written first.  The lots are drawn anew whenever a head changes or was tried: a head
  with bad luck is not passed over for ever.  No head overtakes a task without a queue, nor a thousand older heads.
- What is not the head of its queue comes behind, in order; what was tried before holds its queue and is a head.
- What was not read yet comes first among its priority: it may need more than all that is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import groupby

from gpu_queue.task import Waiting

DRAWN_AT_ONCE = 1000
"""Where ever more queues come than can be served, the oldest heads are drawn first."""


def in_turn(waiting: Sequence[Waiting], lottery: str) -> tuple[Waiting, ...]:
    """The same tasks in the order in which they have their turn; asked once for all plans of one listing.

    Args:
        waiting: what waits, by priority and in order of submission.
        lottery: the seed of the draw.
    """
    heads = _heads(waiting)
    seed = hashlib.sha256(
        "\0".join((lottery, *(f"{name} {tries}" for name, tries in heads.items()))).encode("utf-8", "surrogateescape")
    ).digest()
    return tuple(
        task
        for _, equals in groupby(
            sorted(waiting, key=lambda task: _rank(task, heads)), lambda task: _rank(task, heads)
        )
        for task in _drawn(equals, heads, seed)
    )


def _heads(waiting: Iterable[Waiting]) -> dict[str, int]:
    """Names of the tasks that come next in their queues, with how often they were tried."""
    heads: dict[str, int] = {}
    queues: set[str] = set()
    for task in waiting:
        queue = task.needs.queue
        if queue is not None and (task.tries or queue not in queues):
            queues.add(queue)
            heads[task.name] = task.tries
    return heads


def _rank(task: Waiting, heads: dict[str, int]) -> tuple[int, bool, bool, int]:
    follows = task.needs.queue is not None and task.name not in heads
    # Those that follow keep their order, whatever they need: in their queue nobody overtakes.
    return task.priority, task.is_read, follows, 0 if follows else -task.needs.gpus_min


def _drawn(equals: Iterable[Waiting], heads: dict[str, int], seed: bytes) -> list[Waiting]:
    tasks: list[Waiting] = []
    for are_heads, some in groupby(equals, lambda task: task.name in heads):
        together = list(some)
        if are_heads:
            for first in range(0, len(together), DRAWN_AT_ONCE):
                together[first : first + DRAWN_AT_ONCE] = sorted(
                    together[first : first + DRAWN_AT_ONCE], key=lambda task: _lot(task.name, seed)
                )
        tasks += together
    return tasks


def _lot(name: str, seed: bytes) -> bytes:
    return hashlib.sha256(seed + name.encode("utf-8", "surrogateescape")).digest()
