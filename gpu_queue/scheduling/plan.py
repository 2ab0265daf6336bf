"""Which waiting task starts on which GPUs, and why each of the others waits.  Pure.

- Order is that of ``Facts.waiting``.  A task that could run here but does not fit yet *holds* the GPUs that it waits
  for: nothing behind it gets them, so nothing starves.
- Inside a queue one task at a time, in order; a task in backoff keeps its queue.
- A task that this node can never run holds nothing; another node may run it.
- Who may get a GPU at all is the policy's to say (:mod:`gpu_queue.scheduling.admission`).  A card that was given is
  judged again with what is promised of it.
- ``obstacle`` is the one judge: a task is claimed where it finds none, and what it finds is what people are told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpu_queue.reasons import AFTER_TOLD, Bar, Code, Reason, reason
from gpu_queue.scheduling import backoff, patience, selecting
from gpu_queue.scheduling.admission import WHOLE, Card, Reserved, unpromised_bytes
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
    is_short: bool = False
    """It waits for nothing but GPUs or slots that others have."""


@dataclass(frozen=True)
class _Grant:
    """What a task gets."""

    gpus: tuple[str, ...] = ()
    reserve_bytes: int | None = WHOLE


NOTHING = _Grant()
LOOK_AHEAD = 50
"""So many tasks are judged although no GPU is left to give, so that what can never run is refused early; of those
behind them a plan looks only at such as need none."""


@dataclass
class _Room:
    """What is left to give, while the tasks are gone through in order."""

    facts: Facts
    cpu_slots: int
    gpu_slots: float = float("inf")
    """Tasks with GPUs that may still start."""
    held_by: Waiting | None = None
    kept: frozenset[str] = frozenset()
    """GPUs that are kept for the task that holds them."""
    queue_heads: dict[str, Waiting] = field(default_factory=dict)
    """The first waiting task of each queue: whether it starts or not, those behind it do not."""
    turn: int = 0
    """Where ``round_robin`` goes on."""
    _given: dict[str, Card] = field(default_factory=dict)
    """As they are after what was given of them here."""
    _admitted: dict[int | None, list[Card]] = field(default_factory=dict)
    """What is still to be had, in index order, by the memory that a task asks for."""
    _asked: set[int | None] | None = None
    """How much memory all that wait ask for."""

    def cards(self) -> Sequence[Card]:
        """All of the node, with what was given here."""
        return [self._given.get(card.uuid, card) for card in self.facts.gpus] if self._given else self.facts.gpus

    def idle(self, memory_bytes: int | None = None) -> list[Card]:
        """What may be given to a task that asks for so much memory, kept or not."""
        found = self._admitted.get(memory_bytes)
        if found is None:
            judged = ((card, self.facts.judge(card, memory_bytes)) for card in self.cards())
            idle = (card for card, verdict in judged if verdict.state is GpuState.IDLE)
            found = self._admitted[memory_bytes] = sorted(idle, key=lambda card: card.index)
        return found

    def free(self, memory_bytes: int | None = None) -> list[Card]:
        """The same without what is kept."""
        idle = self.idle(memory_bytes)
        return [card for card in idle if card.uuid not in self.kept] if self.kept else idle

    def left_of(self, fresh: int) -> int:
        """How many of so many cards that nobody has, and that a task could get, stay free for others."""
        left = _left(self.facts)
        return min(fresh, max(0, left - (len(self.idle()) - fresh))) if left else 0

    def is_spent(self) -> bool:
        """Whether nothing is left that any task could get."""
        if self.gpu_slots <= 0:
            return True
        if not self.facts.is_shared:
            return not self.free()
        is_all_left = len(self.idle()) <= _left(self.facts)
        return not any(card.reserved or not is_all_left for asked in self._asks() for card in self.free(asked))

    def _asks(self) -> set[int | None]:
        if self._asked is None:
            self._asked = {task.needs.memory_bytes for task in self.facts.waiting if task.needs.gpus_max}
        return self._asked

    def give(self, cards: Sequence[Card], reserve_bytes: int | None) -> None:
        """Nobody else gets what is promised of these."""
        promise = Reserved(reserve_bytes, shown_bytes=0)
        for card in cards:
            self._given[card.uuid] = replace(card, reserved=(*card.reserved, promise))
        self._admitted.clear()
        self.gpu_slots -= 1
        self.turn = selecting.turn_after([card.index for card in cards], self.turn)


def retry_at(task: Waiting, facts: Facts) -> float:
    """When a failed task may be tried again, in the server's time; 0: at once."""
    return backoff.rests_until(task.failures, task.entered_at, facts.limits)


def _never_here(needs: Needs, facts: Facts) -> Reason | None:
    """Why this node can never run a task; None if it can, once GPUs or slots are free."""
    if needs.gpus_max == 0:
        return None if facts.limits.cpu_slots else reason(Code.CPU_SLOTS, slots=0)
    cards = _competed(facts)
    served = {gpu.index: gpu for gpu in cards}
    missing = tuple(index for index in needs.devices if index not in served)
    if missing:
        return reason(Code.PINNED, devices=missing, served=tuple(sorted(served)))
    large_enough = [
        gpu for gpu in cards if needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes
    ]
    left = _left(facts) + len(facts.gpus) - len(cards)
    if needs.gpus_min > len(facts.gpus) - left:
        if left:
            return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(facts.gpus), left=left)
        return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(facts.gpus))
    if needs.gpus_min > len(large_enough):
        memory_bytes = needs.memory_bytes or 0
        return reason(Code.MEMORY, needed=needs.gpus_min, memory_bytes=memory_bytes, have=len(large_enough))
    return None


def _competed(facts: Facts) -> Sequence[Card]:
    """The cards that tasks may have at all."""
    return [card for card in facts.gpus if card.is_competed] if facts.is_shared else facts.gpus


def _left(facts: Facts) -> int:
    """How many cards that are free at the moment are left to others, whichever they are."""
    left = facts.terms.sharing.gpu_left
    return left.cards if facts.is_shared and left.of_free else 0


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
        why = reason(Code.BACKOFF, failures=task.failures, left_s=at - facts.server_now, until_s=at)
        return Obstacle(why)
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
        return Obstacle(reason(Code.CPU_SLOTS, slots=facts.limits.cpu_slots), is_short=True)
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
    if room.gpu_slots <= 0:
        return Obstacle(reason(Code.CONCURRENT, most=facts.terms.sharing.max_concurrent or 0), is_short=True)
    if _chosen(needs, facts, room):
        return None
    if room.held_by is not None:
        why = reason(Code.BEHIND, first=room.held_by.name, first_title=room.held_by.title)
        return Obstacle(why, is_short=True)
    idle = len(_candidates(needs, room.idle(needs.memory_bytes)))
    if idle >= needs.gpus_min:
        why = reason(Code.RESERVE, needed=needs.gpus_min, idle=idle, left=_left(facts))
    else:
        counts = _counts(needs.memory_bytes, facts)
        counts[GpuState.IDLE.value] = idle
        why = reason(Code.GPUS, needed=needs.gpus_min, devices=needs.devices, **counts)
    return Obstacle(why, holds=True, is_short=True)


def _counts(memory_bytes: int | None, facts: Facts) -> dict[str, int]:
    """How many cards are in each state; of those that are barred each by its bar."""
    verdicts = [facts.judge(card, memory_bytes) for card in facts.gpus]
    states = [one.state for one in verdicts if one.bar is None]
    bars = [one.bar for one in verdicts if one.bar is not None]
    return {
        **{state.value: states.count(state) for state in GpuState},
        **{bar.value: bars.count(bar) for bar in Bar if bar in bars},
    }


def _chosen(needs: Needs, facts: Facts, room: _Room) -> list[Card]:
    """The cards that a task gets; none where they are not enough."""
    fit = _candidates(needs, room.free(needs.memory_bytes))
    if not facts.is_shared:
        return fit[: needs.gpus_max] if len(fit) >= needs.gpus_min else []
    fresh = sum(not card.reserved for card in fit)
    left = room.left_of(fresh)
    wanted = selecting.grant(needs.gpus_min, needs.gpus_max, len(fit), left)
    fresh_at_most = fresh - left
    chosen: list[Card] = []
    for card in selecting.in_order_of(fit, facts.terms.sharing.select, room.turn):
        if len(chosen) < wanted and (card.reserved or fresh_at_most > 0):
            chosen.append(card)
            fresh_at_most -= not card.reserved
    return chosen


def _held(needs: Needs, facts: Facts, room: _Room) -> frozenset[str]:
    """What is kept for a task that does not fit: the idle cards, and of those that tasks share as many as it lacks.

    What is free of a shared card would else go to small tasks for ever.  The ones with most to give are kept: what is
    free of them only grows.
    """
    idle = {card.uuid for card in _candidates(needs, room.idle(needs.memory_bytes))}
    if facts.is_shared:
        lacking = max(1, needs.gpus_min + _left(facts) - len(idle))
        parts = [
            card
            for card in _candidates(needs, list(room.cards()))
            if card.uuid not in idle
            and card.reserved
            and card.is_competed
            and all(one.reserve_bytes is not WHOLE for one in card.reserved)
        ]
        parts.sort(key=lambda card: (-(unpromised_bytes(card) or 0), card.index))
        idle.update(card.uuid for card in parts[:lacking])
    return frozenset(idle)


def _judge(facts: Facts, look_ahead: int | None) -> Iterator[tuple[Waiting, Obstacle | None, _Grant]]:
    """Each waiting task in order with its obstacle, or the GPUs that it gets.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; behind them those are passed over for which no GPU is left.
    """
    most = facts.terms.sharing.max_concurrent if facts.is_shared else None
    gpu_slots = float("inf") if most is None else most - facts.gpu_tasks
    room = _Room(facts, facts.limits.cpu_slots - facts.cpu_tasks, gpu_slots, turn=facts.turn)
    for task in _in_question(facts, room, look_ahead):
        found = obstacle(task, facts, room)
        granted = NOTHING
        if found is None:
            granted = _grant(task.needs, facts, room)
        elif found.is_short and patience.is_overdue(task, facts):
            most_s = facts.terms.sharing.max_wait_time_s or 0.0
            why = reason(Code.WAITED, waited_s=patience.waited_s(task, facts), most_s=most_s)
            found = Obstacle(why, refuse=True)
        elif found.holds and room.held_by is None:
            # In order of GPUs: what is idle and fits is kept; the rest of what it needs is still busy.
            room.held_by = task
            room.kept = _held(task.needs, facts, room)
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
        if look_ahead is not None and position >= look_ahead and room.is_spent():
            break  # and none will be left for what follows
        yield task
    else:
        return
    if look_ahead and facts.is_shared and facts.terms.sharing.max_wait_time_s is not None:
        for task in facts.waiting[position:]:
            if not needs_no_free_gpu(task) and task.name not in facts.claiming and patience.is_overdue(task, facts):
                yield task
    positions = positions_without_gpu(facts.waiting) if facts.without_gpu is None else facts.without_gpu
    for at in positions[bisect_left(positions, position) :]:
        if room.cpu_slots <= 0 and facts.waiting[at].is_read:
            return
        if facts.waiting[at].name not in facts.claiming:
            yield facts.waiting[at]


def _grant(needs: Needs, facts: Facts, room: _Room) -> _Grant:
    if needs.gpus_max == 0:
        room.cpu_slots -= 1
        return NOTHING
    chosen = sorted(_chosen(needs, facts, room), key=lambda card: card.index)
    parts = [facts.judge(card, needs.memory_bytes).reserve_bytes for card in chosen]
    known = [part for part in parts if part is not None]
    reserve_bytes = max(known) if known and len(known) == len(parts) else WHOLE
    room.give(chosen, reserve_bytes)
    return _Grant(tuple(card.uuid for card in chosen), reserve_bytes)


@dataclass(frozen=True)
class Plan:
    """What to start and what to refuse now, in order."""

    actions: tuple[Start | Refuse, ...] = ()
    needs_reading: bool = False
    """It ended at a task that was not read yet, which may be the one that comes first."""
    short: tuple[Waiting, ...] = ()
    """Those that were found to wait for nothing but GPUs or slots (``patience.ready_since``)."""


def plan(facts: Facts, look_ahead: int = LOOK_AHEAD) -> Plan:
    """Decide.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; 0 where an earlier plan has judged what waits.
    """
    actions: list[Start | Refuse] = []
    short: list[Waiting] = []
    if facts.phase is not Phase.SERVING:
        return Plan()
    for task, found, granted in _judge(facts, look_ahead):
        if not task.is_read and task.unready is None:
            return Plan(tuple(actions), needs_reading=True, short=tuple(short))
        if found is None:
            actions.append(Start(task, granted.gpus, granted.reserve_bytes))
        elif found.refuse:
            actions.append(Refuse(task, found.reason))
        elif found.is_short:
            short.append(task)
    return Plan(tuple(actions), short=tuple(short))


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
