"""Which waiting task starts on which GPUs, and why each of the others waits.  Pure.

- Order is that of ``Facts.waiting``.  A task that could run here but does not fit yet *holds* the GPUs that it waits
  for: nothing behind it gets them, so nothing starves.
- Inside a queue one task at a time, in order; a task in backoff keeps its queue.
- A task that this node can never run holds nothing; another node may run it.
- Who may get a GPU at all is the policy's to say (:mod:`gpu_queue.scheduling.admission`).  A card that was given is
  judged again with what is promised of it.
- A task over several nodes *holds* in the same way; where GPUs for it are idle they are held ready (``Assemble``),
  and it starts when enough nodes do so (:mod:`gpu_queue.scheduling.gangs`).
- ``obstacle`` is the one judge: a task is claimed where it finds none, and what it finds is what people are told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gpu_queue import again
from gpu_queue.reasons import AFTER_TOLD, Code, Reason, reason
from gpu_queue.scheduling import backoff, patience
from gpu_queue.scheduling.admission import WHOLE
from gpu_queue.scheduling.facts import Demand, Facts, Phase
from gpu_queue.scheduling.gangs import Gang, stand
from gpu_queue.scheduling.room import NOTHING, Grant, Room, candidates
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
class Assemble:
    """Hold these GPUs ready for a task over several nodes, without which it does not start."""

    task: Waiting
    gpus: tuple[str, ...]
    reserve_bytes: int | None = WHOLE
    join: Gang | None = None
    """For this call; None: call the other nodes."""


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


LOOK_AHEAD = 50
"""So many tasks are judged although no GPU is left to give, so that what can never run is refused early; of those
behind them a plan looks only at such as need none."""


def _never_here(needs: Needs, facts: Facts, room: Room) -> Reason | None:
    """Why this node can never run a task; None if it can, once GPUs or slots are free."""
    if needs.gpus_max == 0:
        return None if facts.limits.cpu_slots else reason(Code.CPU_SLOTS, slots=0)
    served = {gpu.index: gpu for gpu in room.competed}
    missing = tuple(index for index in needs.devices if index not in served)
    if missing:
        return reason(Code.PINNED, devices=missing, served=tuple(sorted(served)))
    if needs.gpus_min > room.most:
        left = len(facts.gpus) - max(0, room.most)
        if left:
            return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(facts.gpus), left=left)
        return reason(Code.INFEASIBLE, needed=needs.gpus_min, served=len(facts.gpus))
    large_enough = [
        gpu
        for gpu in room.competed
        if needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes
    ]
    if needs.gpus_min > len(large_enough):
        memory_bytes = needs.memory_bytes or 0
        return reason(Code.MEMORY, needed=needs.gpus_min, memory_bytes=memory_bytes, have=len(large_enough))
    return None


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


def obstacle(task: Waiting, facts: Facts, room: Room) -> Obstacle | None:
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
    until_s = 0.0
    if task.failures:
        until_s = backoff.rests_until(task.failures, task.entered_at, facts.limits, is_fresh=task.has_just_failed)
    if until_s > facts.server_now:
        why = reason(
            Code.BACKOFF,
            failures=task.failures,
            left_s=until_s - facts.server_now,
            until_s=until_s,
            error_type=task.error_type,
            rests="" if facts.limits.retry_config is None else 1,
        )
        return Obstacle(why)
    until_s = task.entered_at + again.rest_s(task.hurries)
    if task.hurries > again.HURRIES_FREE and until_s > facts.server_now:
        left_s = until_s - facts.server_now
        return Obstacle(reason(Code.BACKOFF, again=task.hurries, left_s=left_s, until_s=until_s))
    resting_until = facts.resting.get(task.name, 0.0)
    if resting_until > facts.now:
        return Obstacle(reason(Code.NOT_STARTED, left_s=resting_until - facts.now))
    never = _never_here(task.needs, facts, room)
    if never is not None:
        return Obstacle(never, refuse=facts.limits.infeasible == "fail")
    lifetime_left_s, signal = facts.lifetime_left_s, task.needs.signal
    promised_s = None if task.needs.time_is_limit and facts.waits_at_end else task.needs.time_s
    if (
        signal is not None
    ):  # it is warned, saves, and goes on elsewhere; begun right before that it would do nothing else
        promised_s, least_s = None, 2.0 * signal.before_s
        if lifetime_left_s is not None and least_s > lifetime_left_s:
            return Obstacle(
                reason(Code.LIFETIME, time_s=least_s, left_s=lifetime_left_s, before_s=float(signal.before_s))
            )
    if promised_s is not None and lifetime_left_s is not None and promised_s > lifetime_left_s:
        return Obstacle(reason(Code.LIFETIME, time_s=promised_s, left_s=lifetime_left_s))
    if task.needs.queue is not None:
        waits = _queue_obstacle(task, task.needs.queue, facts, room)
        if waits is not None:
            return waits
    if task.needs.nodes > 1:
        waits = _gang_obstacle(task, facts, room)
        if waits is not None:
            return waits
    if task.needs.gpus_max == 0:
        if room.cpu_slots > 0:
            return None
        return Obstacle(reason(Code.CPU_SLOTS, slots=facts.limits.cpu_slots), is_short=True)
    return _gpu_obstacle(task.needs, facts, room)


def _queue_obstacle(task: Waiting, queue: str, facts: Facts, room: Room) -> Obstacle | None:
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


def _gang_obstacle(task: Waiting, facts: Facts, room: Room) -> Obstacle | None:
    """Whether a task over several nodes is put together now, as far as this node's GPUs do not decide it."""
    around, nodes, task_id = facts.gangs, task.needs.nodes, task.task_id or ""
    served = around.may_serve(task.needs)
    if served < nodes:
        return Obstacle(reason(Code.NODES_INFEASIBLE, needed=nodes, served=served))
    first = around.first()
    if task_id in around.held:
        if room.held_by is not None:  # ours may be what that one lacks
            return Obstacle(reason(Code.BEHIND, first=room.held_by.name, first_title=room.held_by.title))
        gang = around.held[task_id]
        who = tuple(sorted({gang.caller, *gang.offers.values(), *gang.nodes.values()} - {""})) if gang else ()
        return Obstacle(reason(Code.GANG, nodes=nodes, have=len(who), who=who))
    chosen = room.gang
    behind = stand(task_id, task.priority, first, chosen.task_id or "" if chosen is not None else "").behind
    if behind:
        title = chosen.title if chosen is not None and chosen.task_id == behind else facts.titles.get(behind, "")
        return Obstacle(reason(Code.ASSEMBLING, first=behind, first_title=title))
    return None


def _gpu_obstacle(needs: Needs, facts: Facts, room: Room) -> Obstacle | None:
    if room.gpu_slots <= 0:
        return Obstacle(reason(Code.CONCURRENT, most=facts.terms.sharing.max_concurrent or 0), is_short=True)
    if room.choice(needs) is not None:
        return None
    if room.held_by is not None:
        why = reason(Code.BEHIND, first=room.held_by.name, first_title=room.held_by.title)
        return Obstacle(why, is_short=True)
    idle = len(candidates(needs, room.idle(needs.memory_bytes)))
    if idle >= needs.gpus_min:
        why = reason(Code.RESERVE, needed=needs.gpus_min, idle=idle, left=room.left)
    else:
        counts = {**room.counts(needs.memory_bytes), GpuState.IDLE.value: idle}
        why = reason(Code.GPUS, needed=needs.gpus_min, devices=needs.devices, **counts)
    return Obstacle(why, holds=True, is_short=True)


def _judge(facts: Facts, look_ahead: int | None) -> Iterator[tuple[Waiting, Obstacle | None, Grant]]:
    """Each waiting task in order with its obstacle, or the GPUs that it gets.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; behind them those are passed over for which no GPU is left.
    """
    room = Room(facts)
    most_s = patience.max_wait_s(facts)
    for task in _in_question(facts, room, look_ahead):
        found = obstacle(task, facts, room)
        granted = NOTHING
        if found is None:
            granted = room.grant(task.needs)
        elif most_s is not None and found.is_short and patience.waited_s(task, facts) > most_s:
            why = reason(Code.WAITED, waited_s=patience.waited_s(task, facts), most_s=most_s)
            found = Obstacle(why, refuse=True)
        elif found.holds and room.held_by is None:
            room.hold(task)
        if task.needs.nodes > 1 and (found is None or found.holds or found.reason.code is Code.GANG):
            room.gang = room.gang or task
        if task.needs.queue is not None and not (found is not None and found.refuse):
            room.queue_heads.setdefault(task.needs.queue, task)
        yield task, found, granted


def needs_no_free_gpu(task: Waiting) -> bool:
    """Whether a task is judged although no GPU is left: it may start without one, keep its queue, or be unread."""
    return not task.is_read or task.needs.gpus_min == 0 or task.needs.queue is not None


def positions_without_gpu(waiting: Sequence[Waiting]) -> tuple[int, ...]:
    """Where those stand that a plan judges although no GPU is left: asked once for all plans of one listing."""
    return tuple(position for position, task in enumerate(waiting) if needs_no_free_gpu(task))


def _is_passed_over(task: Waiting, facts: Facts, room: Room) -> bool:
    """Whether a task is in nobody's turn now, for this node takes it; in its queue it may still be the first."""
    if task.name in facts.in_doubt and task.needs.queue is not None:
        room.queue_heads.setdefault(task.needs.queue, task)
    return task.name in facts.claiming


def _in_question(facts: Facts, room: Room, look_ahead: int | None) -> Iterator[Waiting]:
    for position, task in enumerate(facts.waiting):
        if _is_passed_over(task, facts, room):
            continue
        if look_ahead is not None and position >= look_ahead and room.is_spent():
            break  # and none will be left for what follows
        yield task
    else:
        return
    most_s = patience.max_wait_s(facts)
    if look_ahead and most_s is not None and facts.kept_since:
        for task in facts.waiting[position:]:
            is_overdue = patience.waited_s(task, facts) > most_s
            if is_overdue and not needs_no_free_gpu(task) and task.name not in facts.claiming:
                yield task
    positions = positions_without_gpu(facts.waiting) if facts.without_gpu is None else facts.without_gpu
    positions = positions[bisect_left(positions, position) :]
    if not look_ahead and room.cpu_slots > 0:
        positions = _without_queues_of_gpus(facts.waiting, positions)
    for at in positions:
        if room.cpu_slots <= 0 and facts.waiting[at].is_read:
            return
        if not _is_passed_over(facts.waiting[at], facts, room):
            yield facts.waiting[at]


def _without_queues_of_gpus(waiting: Sequence[Waiting], positions: Sequence[int]) -> list[int]:
    """The same positions without those of queues in which all need GPUs: whom such a task keeps back cannot start."""
    needs = [waiting[at].needs for at in positions]
    mixed = {one.queue for one in needs if one.gpus_min == 0}
    return [
        at
        for at, one in zip(positions, needs, strict=True)
        if one.gpus_min == 0 or one.queue in mixed or not waiting[at].is_read
    ]


@dataclass(frozen=True)
class Plan:
    """What to start and what to refuse now, in order."""

    actions: tuple[Start | Assemble | Refuse, ...] = ()
    unwanted: frozenset[str] = frozenset()
    """The ids of tasks over several nodes for which GPUs are held ready, and should not be any longer."""
    needs_reading: bool = False
    """It ended at a task that was not read yet, which may be the one that comes first."""
    ready_since: Mapping[str, float] = field(default_factory=dict)
    """What the next plan's facts say of that."""
    kept_since: Mapping[Demand, float] = field(default_factory=dict)
    """The same."""


def plan(facts: Facts, look_ahead: int = LOOK_AHEAD) -> Plan:
    """Decide.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; 0 where an earlier plan has judged what waits.
    """
    if facts.phase is not Phase.SERVING:
        return Plan(unwanted=frozenset(facts.gangs.held))
    actions: list[Start | Assemble | Refuse] = []
    unwanted: set[str] = set()
    short: list[Waiting] = []
    needs_reading = False
    facts = replace(facts, kept_since=patience.kept_since(facts, anew=look_ahead > 0))
    for task, found, granted in _judge(facts, look_ahead):
        if not task.is_read and task.unready is None:
            needs_reading = True
            break
        if task.task_id in facts.gangs.held:
            if found is not None and found.reason.code is not Code.GANG:
                unwanted.add(task.task_id or "")
        elif found is None and task.needs.nodes > 1:
            join = stand(task.task_id or "", task.priority, facts.gangs.first()).join
            actions.append(Assemble(task, granted.gpus, granted.reserve_bytes, join))
        elif found is None:
            actions.append(Start(task, granted.gpus, granted.reserve_bytes))
        elif found.refuse:
            actions.append(Refuse(task, found.reason))
        elif found.is_short:
            short.append(task)
    acted = {one.task.name for one in actions}
    kept = facts.kept_since
    return Plan(tuple(actions), frozenset(unwanted), needs_reading, patience.ready_since(facts, short, acted), kept)


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
