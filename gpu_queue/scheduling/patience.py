"""For how long others have held what a task of a shared server waits for (``max_wait_time``).  Pure.

- Counted is time in which a task could have started but for others: not that for which tasks of ours hold what it
  needs, its queue was busy, another task was not done, it rested after a failure, or no agent took tasks here.
- Others hold it while the cards that are idle or ours are not enough for it.  Once they are, it is its turn: the time
  begins anew when they cease to be.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gpu_queue.scheduling.facts import Demand, Facts
from gpu_queue.scheduling.room import candidates
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, Waiting

_NS_PER_S = 1e9
_WITHIN_REACH = (GpuState.IDLE, GpuState.BUSY)
"""A busy card has tasks of this user only."""


def waited_s(task: Waiting, facts: Facts) -> float:
    """For how long it has waited for others, as far as anybody knows; 0: it does not.

    A task that waits for nothing else has since its file came to pending/.  What had to wait for its queue, for
    others or for its next try has since the agent found that it no longer does.
    """
    kept_since = facts.kept_since.get(demand_of(task.needs))
    if kept_since is None:
        return 0.0
    since = facts.ready_since.get(task.name)
    if since is None:
        if not is_always_ready(task) or not task.changed_ns:
            return 0.0
        since = task.changed_ns / _NS_PER_S
    return max(0.0, facts.server_now - max(since, facts.serving_since, kept_since))


def max_wait_s(facts: Facts) -> float | None:
    """For how long a task may wait so; None: for ever."""
    return facts.terms.sharing.max_wait_time_s if facts.is_shared else None


def demand_of(needs: Needs) -> Demand:
    """What tasks have in common that wait for the same cards."""
    return needs.gpus_min, needs.memory_bytes, needs.devices


def is_kept_by_others(demand: Demand, facts: Facts) -> bool:
    """Whether nobody could start such a task here, were there no tasks of ours."""
    least, memory_bytes, devices = demand
    ours = [
        card for card in facts.gpus if card.is_competed and facts.judge(card, memory_bytes).state in _WITHIN_REACH
    ]
    left = facts.terms.sharing.gpu_left
    fit = candidates(Needs(least, least, devices, memory_bytes), ours)
    return len(fit) < least + (left.cards if left.of_free and least else 0)


def kept_since(facts: Facts, *, anew: bool) -> dict[Demand, float]:
    """``Facts.kept_since`` of this plan.

    Args:
        facts: those of this plan, with what the last one found.
        anew: ask for all that waits; else only whether what was kept still is.
    """
    if max_wait_s(facts) is None:
        return {}
    demands = {demand_of(task.needs) for task in facts.waiting if task.is_read} if anew else set(facts.kept_since)
    kept = (demand for demand in demands if demand[0] and is_kept_by_others(demand, facts))
    return {demand: facts.kept_since.get(demand, facts.server_now) for demand in kept}


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
