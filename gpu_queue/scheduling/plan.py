"""Which waiting task starts on which GPUs, and why each of the others waits.  Pure.

- Order is name order: priority, then the moment of submission.  A task that could run here but does not fit yet
  *holds* the GPUs that it waits for: nothing behind it gets them, so nothing starves.
- Inside a queue one task at a time, in order; a task in backoff keeps its queue.
- A task that this node can never run holds nothing; another node may run it.
- ``obstacle`` is the one judge: a task is claimed where it finds none, and what it finds is what people are told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpu_queue.scheduling.facts import Facts, GpuFact, GpuState, Phase
from gpu_queue.task import Needs, State, Waiting, short_name
from gpu_queue.units import format_duration, format_size


@dataclass(frozen=True)
class Start:
    """Claim this task and run it on these GPUs."""

    task: Waiting
    gpus: tuple[str, ...]
    """UUIDs in index order; () for a task of 0 GPUs."""


@dataclass(frozen=True)
class Refuse:
    """Claim this task only to move it to failed/ with this reason."""

    task: Waiting
    reason: str


@dataclass(frozen=True)
class Obstacle:
    """Why a task does not start now."""

    text: str
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

    idle: list[GpuFact]
    cpu_slots: int
    held_by: str | None = None
    kept: tuple[GpuFact, ...] = ()
    """Idle GPUs that are kept for the task that holds them."""
    queue_heads: dict[str, str] = field(default_factory=dict)
    """The first waiting task of each queue: whether it starts or not, those behind it do not."""

    def free(self) -> list[GpuFact]:
        """GPUs that may be given to the task in hand."""
        return [gpu for gpu in self.idle if gpu not in self.kept] if self.kept else self.idle


def retry_at(task: Waiting, facts: Facts) -> float:
    """When a failed task may be tried again, in the server's time: 30 s, 1 min, 2 min … after its last return."""
    if task.failures <= 0:
        return 0.0
    delay_s = facts.policy.retry_delay_s * 2.0 ** min(task.failures - 1, 20)
    return task.entered_at + min(delay_s, facts.policy.retry_delay_max_s)


def _never_here(needs: Needs, facts: Facts) -> str:
    """Why this node can never run a task; empty if it can, once GPUs are free."""
    served = {gpu.index: gpu for gpu in facts.gpus}
    missing = [index for index in needs.devices if index not in served]
    if missing:
        have = ", ".join(map(str, sorted(served))) or "none"
        return f"its script sets CUDA_VISIBLE_DEVICES to GPU {', '.join(map(str, missing))}; this node serves {have}"
    large_enough = [
        gpu for gpu in facts.gpus if needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes
    ]
    if needs.gpus_min > len(facts.gpus):
        return f"needs {needs.gpus_min} GPUs; this node serves {len(facts.gpus)}"
    if needs.gpus_min > len(large_enough):
        return (
            f"needs {needs.gpus_min} GPU{'s' * (needs.gpus_min > 1)} of {format_size(needs.memory_bytes or 0)}; "
            f"this node has {len(large_enough)}"
        )
    return ""


def _candidates(needs: Needs, gpus: list[GpuFact]) -> list[GpuFact]:
    return [
        gpu
        for gpu in gpus
        if (not needs.devices or gpu.index in needs.devices)
        and (needs.memory_bytes is None or (gpu.memory_total_bytes or 0) >= needs.memory_bytes)
    ]


def _upstream_obstacle(task: Waiting) -> Obstacle | None:
    for task_id, state in task.upstream:
        if state is State.FAILED:
            return Obstacle(f"dependency {short_name(task_id)} failed or was cancelled", refuse=True)
    open_ids = [task_id for task_id, state in task.upstream if state is not State.DONE]
    waited = open_ids or [one for one in task.needs.after if one not in dict(task.upstream)]
    return Obstacle(f"waits for {', '.join(map(short_name, waited))}") if waited else None


def obstacle(task: Waiting, facts: Facts, room: _Room) -> Obstacle | None:
    """Why a task does not start now; None: it does."""
    if task.unready:
        return Obstacle(task.unready)
    if facts.phase is not Phase.SERVING:
        return Obstacle(facts.phase_reason)
    if not task.is_read:
        return Obstacle("it was not read yet")
    if task.refusal:
        return Obstacle(task.refusal, refuse=True)
    upstream = _upstream_obstacle(task) if task.needs.after else None
    if upstream is not None:
        return upstream
    at = retry_at(task, facts)
    if at > facts.server_now:
        times = "once" if task.failures == 1 else f"{task.failures} times"
        return Obstacle(f"failed {times}; tried again in {format_duration(at - facts.server_now)}")
    resting_until = facts.resting.get(task.name, 0.0)
    if resting_until > facts.now:
        return Obstacle(f"could not be started here; tried again in {format_duration(resting_until - facts.now)}")
    never = _never_here(task.needs, facts)
    if never:
        return Obstacle(never, refuse=facts.policy.infeasible == "fail")
    left_s = facts.lifetime_left_s
    if task.needs.time_s is not None and left_s is not None and task.needs.time_s > left_s:
        return Obstacle(
            f"its --time of {format_duration(task.needs.time_s)} is longer than what remains of this node's "
            f"lifetime ({format_duration(left_s)}); it waits for the next agent"
        )
    if task.needs.queue is not None:
        waits = _queue_obstacle(task, task.needs.queue, facts, room)
        if waits is not None:
            return waits
    if task.needs.gpus_max == 0:
        if room.cpu_slots > 0:
            return None
        return Obstacle(f"all {facts.policy.cpu_slots} slots for tasks without GPU are taken")
    return _gpu_obstacle(task.needs, facts, room)


def _queue_obstacle(task: Waiting, queue: str, facts: Facts, room: _Room) -> Obstacle | None:
    """Inside a queue one task at a time, in order."""
    holder = facts.busy_queues.get(queue)
    if holder is not None:
        # Only the holder may go on, whatever its place: what waits before it waits for it.
        return None if holder == task.task_id else Obstacle(f"queue {queue} is busy with {short_name(holder)}")
    if queue in room.queue_heads:
        return Obstacle(f"queue {queue}: {room.queue_heads[queue]} comes first")
    return None


def _gpu_obstacle(needs: Needs, facts: Facts, room: _Room) -> Obstacle | None:
    if len(_candidates(needs, room.free())) >= needs.gpus_min:
        return None
    if room.held_by is not None:
        return Obstacle(f"the idle GPUs are kept for {room.held_by}, which comes first")
    which = (
        f"GPU {', '.join(map(str, needs.devices))}"
        if needs.devices
        else f"{needs.gpus_min} GPU{'s' * (needs.gpus_min > 1)}"
    )
    others = [
        f"{sum(gpu.state is state for gpu in facts.gpus)} {state.value}"
        for state in GpuState
        if state is not GpuState.IDLE and any(gpu.state is state for gpu in facts.gpus)
    ]
    idle = len(_candidates(needs, room.idle))
    return Obstacle(f"waits for {which}: {idle} idle" + (f" ({', '.join(others)})" if others else ""), holds=True)


def _rooms(facts: Facts) -> _Room:
    idle = sorted((gpu for gpu in facts.gpus if gpu.state is GpuState.IDLE), key=lambda gpu: gpu.index)
    return _Room(idle, facts.policy.cpu_slots - facts.cpu_tasks)


def _judge(facts: Facts, look_ahead: int | None) -> Iterator[tuple[Waiting, Obstacle | None, tuple[str, ...]]]:
    """Each waiting task in order with its obstacle, or the GPUs that it gets.

    Args:
        facts: the node.
        look_ahead: so many are judged in any case; behind them those are passed over for which no GPU is left.
    """
    room = _rooms(facts)
    for task in _in_question(facts, room, look_ahead):
        if task.name in facts.claiming:
            continue
        found = obstacle(task, facts, room)
        granted: tuple[str, ...] = ()
        if found is None:
            granted = _grant(task.needs, room)
        elif found.holds and room.held_by is None:
            # In order of GPUs: what is idle and fits is kept; the rest of what it needs is still busy.
            room.held_by = task.name
            room.kept = tuple(_candidates(task.needs, room.idle))
        if task.needs.queue is not None and not (found is not None and found.refuse):
            room.queue_heads.setdefault(task.needs.queue, task.name)
        yield task, found, granted


def needs_no_free_gpu(task: Waiting) -> bool:
    """Whether a task is judged although no GPU is left: it may start without one, keep its queue, or be unread."""
    return not task.is_read or task.needs.gpus_min == 0 or task.needs.queue is not None


def positions_without_gpu(waiting: Sequence[Waiting]) -> tuple[int, ...]:
    """Where those stand that a plan judges although no GPU is left: asked once for all plans of one listing."""
    return tuple(position for position, task in enumerate(waiting) if needs_no_free_gpu(task))


def _in_question(facts: Facts, room: _Room, look_ahead: int | None) -> Iterator[Waiting]:
    for position, task in enumerate(facts.waiting):
        if look_ahead is not None and position >= look_ahead and not room.free():
            break  # and none will be left for what follows
        yield task
    else:
        return
    positions = positions_without_gpu(facts.waiting) if facts.without_gpu is None else facts.without_gpu
    for at in positions[bisect_left(positions, position) :]:
        if room.cpu_slots <= 0 and facts.waiting[at].is_read:
            return
        yield facts.waiting[at]


def _grant(needs: Needs, room: _Room) -> tuple[str, ...]:
    if needs.gpus_max == 0:
        room.cpu_slots -= 1
        return ()
    chosen = _candidates(needs, room.free())[: needs.gpus_max]
    room.idle = [gpu for gpu in room.idle if gpu not in chosen]
    return tuple(gpu.uuid for gpu in chosen)


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
        if not task.is_read and not task.unready:
            return Plan(tuple(actions), needs_reading=True)
        if found is None:
            actions.append(Start(task, granted))
        elif found.refuse:
            actions.append(Refuse(task, found.text))
    return Plan(tuple(actions))


def explain(facts: Facts, at_most: int, names: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
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
            reasons.append((task.name, found.text if found else "it starts at the next step"))
    return reasons
