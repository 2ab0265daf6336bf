"""How long a task of a shared server has waited for what others hold (``max_wait_time``).  Pure.

What counts is time in which it could have started but for GPUs and slots: not that for which its queue was busy,
another task was not done, it rested after a failure, or no agent took tasks here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gpu_queue.scheduling.facts import Facts
from gpu_queue.task import Waiting

_NS_PER_S = 1e9


def waited_s(task: Waiting, facts: Facts) -> float:
    """For how long it has waited so, as far as anybody knows; 0: nobody does.

    A task that waits for nothing else has since its file came to pending/.  What had to wait for its queue, for
    others or for its next try has since the agent found that it no longer does.
    """
    since = facts.ready_since.get(task.name)
    if since is None:
        if not is_always_ready(task) or not task.changed_ns:
            return 0.0
        since = task.changed_ns / _NS_PER_S
    return max(0.0, facts.server_now - max(since, facts.serving_since))


def max_wait_s(facts: Facts) -> float | None:
    """For how long a task may wait so; None: for ever."""
    return facts.terms.sharing.max_wait_time_s if facts.is_shared else None


def is_always_ready(task: Waiting) -> bool:
    """Whether a task waits for nothing but GPUs and slots from the moment that it came to pending/."""
    return task.needs.queue is None and not task.needs.after and not task.failures


def ready_since(facts: Facts, short: Iterable[Waiting], acted: Collection[str]) -> dict[str, float]:
    """``Facts.ready_since`` of the next plan.

    Args:
        facts: those of this plan.
        short: the tasks that it found to wait for GPUs or slots.
        acted: the names of those that it starts or refuses: if they come back, they begin anew.
    """
    if max_wait_s(facts) is None:
        return {}
    known = {task.name: facts.server_now for task in short if not is_always_ready(task)} | dict(facts.ready_since)
    present = {task.name for task in facts.waiting} if known else set()
    return {name: at for name, at in known.items() if name in present and name not in acted}
