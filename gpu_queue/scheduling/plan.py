"""Which waiting task starts on which GPUs, and why each of the others waits.  Pure.

- Order is name order: priority, then the moment of submission.  A task that could run here but does not fit yet
  *holds* the GPUs that it waits for: nothing behind it gets them, so nothing starves.
- Inside a queue one task at a time, in order; a task in backoff keeps its queue.
- A task that this node can never run holds nothing; another node may run it.
- Who may get a GPU at all is the policy's to say (:mod:`gpu_queue.scheduling.admission`).
- ``obstacle`` is the one judge: a task is claimed where it finds none, and what it finds is what people are told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gpu_queue.reasons import AFTER_TOLD, Code, Reason, reason
from gpu_queue.scheduling.admission import WHOLE, Card
from gpu_queue.scheduling.facts import Facts, Phase
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, State, Waiting


@dataclass(frozen=True)
class Start:
    """Claim this task and run it on these GPUs."""

    task: Waiting
    gpus: tuple[str, ...]
    """UUIDs in index order; () for a task of 0 GPUs."""
    reserve_bytes: int | None = WHOLE
    """Of the memory of each; None: the whole card."""


@dataclass(frozen=True)
class Refuse:
    """Claim this task only to move it to failed/ with this reason."""

    task: Waiting
    reason: Reason


@dataclass(frozen=True)
class Obstacle:
    """Why a task does not start now."""

    reason: Reason
    holds: bool = False
    """It waits for GPUs here: those that are idle are kept for it."""
    refuse: bool = False
    """It can never run: it goes to failed/ with this reason."""


LOOK_AHEAD = 50
"""So many tasks are judged although no GPU is left to give, so that what can never run is refused early; of those
behind them a plan looks only at such as need none."""


@dataclass
class _Room:
    """What is left to give, while the tasks are gone through in order."""

    facts: Facts
    cpu_slots: int
    held_by: Waiting | None = None
    kept: frozenset[str] = frozenset()
    """Idle GPUs that are kept for the task that holds them."""
    queue_heads: dict[str, Waiting] = field(default_factory=dict)
    """The first waiting task of each queue: whether it starts or not, those behind it do not."""
    _given: set[str] = field(default_factory=set)
    _admitted: dict[int | None, list[Card]] = field(default_factory=dict)
    """What is still to be had, in index order, by the memory that a task asks for."""

    def idle(self, memory_bytes: int | None = None) -> list[Card]:
        """What may be given to a task that asks for so much memory, kept or not."""
        found = self._admitted.get(memory_bytes)
        if found is None:
            judged = ((card, self.facts.judge(card, memory_bytes)) for card in self.facts.gpus)
            idle = (
                card for card, verdict in judged if verdict.state is GpuState.IDLE and card.uuid not in self._given
            )
            found = self._admitted[memory_bytes] = sorted(idle, key=lambda card: card.index)
        return found

    def free(self, memory_bytes: int | None = None) -> list[Card]:
        """The same without what is kept."""
        idle = self.idle(memory_bytes)
        return [card for card in idle if card.uuid not in self.kept] if self.kept else idle

    def give(self, cards: Sequence[Card]) -> None:
        """Nobody else gets these."""
        self._given.update(card.uuid for card in cards)
        self._admitted.clear()


def retry_at(task: Waiting, facts: Facts) -> float:
    """When a failed task may be tried again, in the server's time: 30 s, 1 min, 2 min … after its last return."""
    if task.failures <= 0:
        return 0.0
    delay_s = facts.limits.retry_delay_s * 2.0 ** min(task.failures - 1, 20)
    return task.entered_at + min(delay_s, facts.limits.retry_delay_max_s)


def _never_here(needs: Needs, facts: Facts) -> Reason | None:
    """Why this node can never run a task; None if it can, once GPUs or slots are free."""
    if needs.gpus_max == 0:
        return None if facts.limits.cpu_slots else reason(Code.CPU_SLOTS, slots=0)
    served = {gpu.index: gpu for gpu in facts.gpus}
    missing = tuple(index for index in needs.devices if index not in served)
    if missing:
        return reason(Code.PINNED, devices=missing, served=tuple(sorted(served)))
    large_enough = [
        gpu for gpu in facts.gpus if needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes
    ]
    if needs.gpus_min > len(facts.gpus):
        return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(facts.gpus))
    if needs.gpus_min > len(large_enough):
        memory_bytes = needs.memory_bytes or 0
        return reason(Code.MEMORY, needed=needs.gpus_min, memory_bytes=memory_bytes, have=len(large_enough))
    return None


def _candidates(needs: Needs, gpus: list[Card]) -> list[Card]:
    return [
        gpu
        for gpu in gpus
        if (not needs.devices or gpu.index in needs.devices)
        and (needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes)
    ]


def _upstream_obstacle(task: Waiting, titles: Mapping[str, str]) -> Obstacle | None:
    for task_id, state in task.upstream:
        if state is State.FAILED:
            failed_title = titles.get(task_id, "")
            return Obstacle(reason(Code.AFTER, failed=task_id, failed_title=failed_title), refuse=True)
    open_ids = [task_id for task_id, state in task.upstream if state is not State.DONE]
    waited = open_ids or [one for one in task.needs.after if one not in dict(task.upstream)]
    if not waited:
        return None
    told, more = tuple(waited[:AFTER_TOLD]), max(0, len(waited) - AFTER_TOLD)
    named = tuple(titles.get(one, "") for one in told) if any(one in titles for one in told) else ()
    if more:
        return Obstacle(reason(Code.AFTER, tasks=told, titles=named, more=more))
    return Obstacle(reason(Code.AFTER, tasks=told, titles=named))


def obstacle(task: Waiting, facts: Facts, room: _Room) -> Obstacle | None:
    """Why a task does not start now; None: it does."""
    if task.unready is not None:
        return Obstacle(task.unready)
    if facts.phase is not Phase.SERVING:
        return Obstacle(facts.phase_reason or Reason(Code(facts.phase.value)))
    if not task.is_read:
        return Obstacle(reason(Code.UNREAD))
    if task.refusal:
        return Obstacle(reason(Code.SCRIPT, problem=task.refusal), refuse=True)
    upstream = _upstream_obstacle(task, facts.titles) if task.needs.after else None
    if upstream is not None:
        return upstream
    at = retry_at(task, facts)
    if at > facts.server_now:
        return Obstacle(reason(Code.BACKOFF, failures=task.failures, left_s=at - facts.server_now))
    resting_until = facts.resting.get(task.name, 0.0)
    if resting_until > facts.now:
        return Obstacle(reason(Code.NOT_STARTED, left_s=resting_until - facts.now))
    never = _never_here(task.needs, facts)
    if never is not None:
        return Obstacle(never, refuse=facts.limits.infeasible == "fail")
    left_s = facts.lifetime_left_s
    promised_s = None if task.needs.time_is_limit and facts.waits_at_end else task.needs.time_s
    if promised_s is not None and left_s is not None and promised_s > left_s:
        return Obstacle(reason(Code.LIFETIME, time_s=promised_s, left_s=left_s))
    if task.needs.queue is not None:
        waits = _queue_obstacle(task, task.needs.queue, facts, room)
        if waits is not None:
            return waits
    if task.needs.gpus_max == 0:
        if room.cpu_slots > 0:
            return None
        return Obstacle(reason(Code.CPU_SLOTS, slots=facts.limits.cpu_slots))
    return _gpu_obstacle(task.needs, facts, room)


def _queue_obstacle(task: Waiting, queue: str, facts: Facts, room: _Room) -> Obstacle | None:
    """Inside a queue one task at a time, in order."""
    holder = facts.busy_queues.get(queue)
    if holder is not None:
        # Only the holder may go on, whatever its place: what waits before it waits for it.
        if holder == task.task_id:
            return None
        return Obstacle(reason(Code.QUEUE, queue=queue, holder=holder, holder_title=facts.titles.get(holder, "")))
    head = room.queue_heads.get(queue)
    if head is not None:
        return Obstacle(reason(Code.QUEUE, queue=queue, first=head.name, first_title=head.title))
    return None


def _gpu_obstacle(needs: Needs, facts: Facts, room: _Room) -> Obstacle | None:
    if len(_candidates(needs, room.free(needs.memory_bytes))) >= needs.gpus_min:
        return None
    if room.held_by is not None:
        return Obstacle(reason(Code.BEHIND, first=room.held_by.name, first_title=room.held_by.title))
    states = [facts.judge(card, needs.memory_bytes).state for card in facts.gpus]
    counts = {state.value: states.count(state) for state in GpuState}
    counts[GpuState.IDLE.value] = len(_candidates(needs, room.idle(needs.memory_bytes)))
    return Obstacle(reason(Code.GPUS, needed=needs.gpus_min, devices=needs.devices, **counts), holds=True)


def _judge(facts: Facts, look_ahead: int | None) -> Iterator[tuple[Waiting, Obstacle | None, tuple[str, ...]]]:
    """Each waiting task in order with its obstacle, or the GPUs that it gets.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; behind them those are passed over for which no GPU is left.
    """
    room = _Room(facts, facts.limits.cpu_slots - facts.cpu_tasks)
    for task in _in_question(facts, room, look_ahead):
        found = obstacle(task, facts, room)
        granted: tuple[str, ...] = ()
        if found is None:
            granted = _grant(task.needs, room)
        elif found.holds and room.held_by is None:
            # In order of GPUs: what is idle and fits is kept; the rest of what it needs is still busy.
            room.held_by = task
            room.kept = frozenset(card.uuid for card in _candidates(task.needs, room.idle(task.needs.memory_bytes)))
        if task.needs.queue is not None and not (found is not None and found.refuse):
            room.queue_heads.setdefault(task.needs.queue, task)
        yield task, found, granted


def needs_no_free_gpu(task: Waiting) -> bool:
    """Whether a task is judged although no GPU is left: it may start without one, keep its queue, or be unread."""
    return not task.is_read or task.needs.gpus_min == 0 or task.needs.queue is not None


def positions_without_gpu(waiting: Sequence[Waiting]) -> tuple[int, ...]:
    """Where those stand that a plan judges although no GPU is left: asked once for all plans of one listing."""
    return tuple(position for position, task in enumerate(waiting) if needs_no_free_gpu(task))


def _in_question(facts: Facts, room: _Room, look_ahead: int | None) -> Iterator[Waiting]:
    for position, task in enumerate(facts.waiting):
        if task.name in facts.claiming:
            continue
        if look_ahead is not None and position >= look_ahead and not room.free():
            break  # and none will be left for what follows
        yield task
    else:
        return
    positions = positions_without_gpu(facts.waiting) if facts.without_gpu is None else facts.without_gpu
    for at in positions[bisect_left(positions, position) :]:
        if room.cpu_slots <= 0 and facts.waiting[at].is_read:
            return
        if facts.waiting[at].name not in facts.claiming:
            yield facts.waiting[at]


def _grant(needs: Needs, room: _Room) -> tuple[str, ...]:
    if needs.gpus_max == 0:
        room.cpu_slots -= 1
        return ()
    chosen = _candidates(needs, room.free(needs.memory_bytes))[: needs.gpus_max]
    room.give(chosen)
    return tuple(card.uuid for card in chosen)


def _reserve_bytes(needs: Needs, granted: tuple[str, ...], facts: Facts) -> int | None:
    parts = [facts.judge(card, needs.memory_bytes).reserve_bytes for card in facts.gpus if card.uuid in granted]
    known = [part for part in parts if part is not None]
    return max(known) if known and len(known) == len(parts) else WHOLE


@dataclass(frozen=True)
class Plan:
    """What to start and what to refuse now, in order."""

    actions: tuple[Start | Refuse, ...] = ()
    needs_reading: bool = False
    """It ended at a task that was not read yet, which may be the one that comes first."""


def plan(facts: Facts, look_ahead: int = LOOK_AHEAD) -> Plan:
    """Decide.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; 0 where an earlier plan has judged what waits.
    """
    actions: list[Start | Refuse] = []
    if facts.phase is not Phase.SERVING:
        return Plan()
    for task, found, granted in _judge(facts, look_ahead):
        if not task.is_read and task.unready is None:
            return Plan(tuple(actions), needs_reading=True)
        if found is None:
            actions.append(Start(task, granted, _reserve_bytes(task.needs, granted, facts)))
        elif found.refuse:
            actions.append(Refuse(task, found.reason))
    return Plan(tuple(actions))


def explain(facts: Facts, at_most: int, names: frozenset[str] = frozenset()) -> list[tuple[str, Reason]]:
    """Why tasks wait: name and reason, in run order.

    Args:
        facts: the same that the plan is made from.
        at_most: how many from the head.
        names: these as well, wherever they stand.
    """
    reasons = []
    for position, (task, found, _) in enumerate(_judge(facts, None)):
        if position >= at_most and not names:
            break
        if position < at_most or task.name in names:
            reasons.append((task.name, found.reason if found else Reason(Code.NEXT)))
    return reasons
