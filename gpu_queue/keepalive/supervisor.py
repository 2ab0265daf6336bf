"""The keep-alive in the agent: one keeper for each GPU, and the workers that they order.

- ``step`` observes (messages, readings), lets each keeper judge, and does what it orders.  It never waits: no socket
  blocks, and what cannot be sent now is wanted again at the next step.
- Workers are started by a zygote, and that when the first GPU is to be held.  The agent itself never imports torch.
- Workers obey leases of a few seconds: an agent that hangs, in the driver for example, loads nothing.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.crew import Crew, Crewmate
from gpu_queue.keepalive.exchange import Exchange
from gpu_queue.keepalive.facts import KeepFacts, Order
from gpu_queue.keepalive.keeper import Keeper, KeepState, Rules
from gpu_queue.keepalive.protocol import Duty, Exit, WorkerSpec
from gpu_queue.keepalive.sizes import matrix_size
from gpu_queue.keepalive.starter import Starter

BUSY_TICK_S = 0.1
"""How often memory and utilisation are read while a worker lives."""
CLEARING_TICK_S = 0.02
"""The same while a task waits for a GPU to be empty."""
IDLE_TICK_S = 1.0
MEAN_OVER_S = 0.5
DUTY_FOR_S = 3.0
"""How long a worker may go on without hearing from us."""
SETTLED_S = 4.0


@dataclass(frozen=True)
class Host:
    """What the agent lends to its keep-alive."""

    start_zygote: Callable[[int], int]
    """Start the process ``gpu_queue.keepalive.zygote`` on this descriptor; returns its pid."""
    leases: Leases
    say: Callable[[str], None]
    engine: Callable[[str], str]
    """The engine that is used here, for the one that was asked for."""
    plant: str = ""
    """Where simulated load is noted; empty: the GPUs are real."""
    find_mps: Callable[[], str] = lambda: ""
    """Where the daemon of MPS listens that serves this node; empty: there is none."""


@dataclass(frozen=True)
class CardFacts:
    """What the agent knows of one GPU that the keep-alive does not."""

    gpu: Gpu
    holder: str = ""
    holder_runs: bool = False
    filler_lives: bool = False
    """Somebody holds the filler's place on it, we ourselves perhaps."""


class Supervisor:
    """Keeps the idle GPUs of one agent busy."""

    def __init__(self, host: Host, uuids: Iterable[str], rules: Rules) -> None:
        self._host = host
        self._rules = rules
        self.keepers = {uuid: Keeper(uuid, rules, random.random) for uuid in uuids}
        self._exchange = Exchange(host.say)
        self._starter = Starter(host.start_zygote, self._exchange, host.say, self._note_change)
        self._crew = Crew(self._starter, self._exchange, host.leases, host.say, self._note_change)
        self._readings: dict[str, deque[tuple[float, int]]] = {uuid: deque() for uuid in self.keepers}
        self.has_changed = False
        """Something that people look for in the node file."""
        self._said_failed: dict[str, str] = {}
        """What the log was told of GPUs that fail again and again."""
        self._tell_at: dict[str, float] = {}
        """GPUs that were taken a moment ago: their readings are worth telling when they have settled."""

    def _note_change(self) -> None:
        self.has_changed = True

    @property
    def _engine(self) -> str:
        return self._host.engine(self._rules.engine)

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self, now: float, cards: Iterable[CardFacts], rest: str) -> None:
        """Observe, judge, act.

        Args:
            now: monotonic seconds.
            cards: the GPUs that are served.
            rest: why none is to be held at present; empty: they are.
        """
        self._crew.listen(now, needs_cuda=self._engine != "cpu")
        if self._starter.has_rested(now):
            self.try_again()
        for uuid in [uuid for uuid, at in self._tell_at.items() if now >= at]:
            del self._tell_at[uuid]
            self.has_changed = True
        for card in cards:
            keeper = self.keepers.get(card.gpu.uuid)
            if keeper is not None:
                self._step_one(keeper, card, rest or self.problem, now)

    def _step_one(self, keeper: Keeper, card: CardFacts, rest: str, now: float) -> None:
        uuid, worker = keeper.uuid, self._crew.get(keeper.uuid)
        facts = KeepFacts(
            now,
            card.gpu,
            self._mean_utilization(uuid, card.gpu, now),
            rest,
            card.holder,
            card.holder_runs,
            card.filler_lives and worker is None and not self._crew.has_ended(uuid),
            worker.facts if worker else None,
            self._crew.take_end(uuid),
        )
        before = (keeper.state, keeper.reason)
        order = keeper.step(facts)
        if (keeper.state, keeper.reason) != before:
            self.has_changed = True
            if keeper.state is KeepState.HOLDING:
                self._tell_at[uuid] = now + SETTLED_S
            has_fallen = facts.ended is not None and before[0] in (KeepState.STARTING, KeepState.HOLDING)
            is_news = has_fallen or keeper.state is KeepState.BACKING_OFF
            if keeper.state is KeepState.FAILED:
                is_news = self._said_failed.get(uuid) != keeper.reason
                self._said_failed[uuid] = keeper.reason
            if is_news:
                self._host.say(f"keep-alive, GPU {card.gpu.index}: {keeper.state.value}: {keeper.reason}")
        self._carry_out(keeper, card.gpu, order, now)

    def _mean_utilization(self, uuid: str, gpu: Gpu, now: float) -> float | None:
        """Of the last few readings; a gauge over a short window says little alone."""
        readings = self._readings[uuid]
        if gpu.utilization_percent is not None:
            readings.append((now, gpu.utilization_percent))
        while readings and readings[0][0] < now - MEAN_OVER_S:
            readings.popleft()
        return sum(value for _, value in readings) / len(readings) if readings else None

    # -- doing ------------------------------------------------------------------------------------------------------

    def _carry_out(self, keeper: Keeper, gpu: Gpu, order: Order, now: float) -> None:
        worker = self._crew.get(keeper.uuid)
        if worker is None:
            if order.start_bytes is not None:
                self._start(keeper, gpu, order.start_bytes, now)
            return
        self._note_footprint(keeper, worker, gpu)
        if order.kill:
            worker.kill()
        if order.leave:
            worker.tell(Exit(), now)
        elif order.duty is not None:
            worker.tell(Duty(order.duty, DUTY_FOR_S), now)

    def _note_footprint(self, keeper: Keeper, worker: Crewmate, gpu: Gpu) -> None:
        if worker.noted == keeper.footprint:
            return
        worker.noted = keeper.footprint
        try:
            self._host.leases.note_footprint(keeper.uuid, keeper.footprint)
        except OSError as error:  # the next change is told again
            self._host.say(f"keep-alive, GPU {gpu.index}: other agents cannot be told what it holds: {error}")

    def _start(self, keeper: Keeper, gpu: Gpu, goal_bytes: int, now: float) -> None:
        if not self._starter.is_ready(now):
            return
        if self._engine == "cpu" and not self._host.plant:
            self._starter.give_up("the engine cpu is for simulated GPUs; expected matmul, zeros or spin", now)
            return
        total_bytes = gpu.memory_total_bytes or 0
        spec = WorkerSpec(
            uuid=keeper.uuid,
            engine=self._engine,
            total_bytes=total_bytes,
            goal_bytes=goal_bytes,
            matrix_size=matrix_size(total_bytes),
            plant=self._host.plant,
        )
        self._crew.start(spec, keeper.footprint, keeper.beside, now)

    # -- asked by the agent -----------------------------------------------------------------------------------------

    @property
    def fd(self) -> int:
        """Readable when a worker or the zygote has something to say."""
        return self._exchange.fd

    @property
    def problem(self) -> str:
        """Why nothing can be held on this node; empty: nothing hinders it."""
        return self._starter.problem

    def obey(self, rules: Rules) -> None:
        """Take over changed rules."""
        self._rules = rules
        for keeper in self.keepers.values():
            keeper.obey(rules)

    def try_again(self) -> None:
        """Forget failures: somebody switched it on anew."""
        self._starter.try_again()
        for keeper in self.keepers.values():
            keeper.try_again()

    @property
    def is_empty(self) -> bool:
        """Whether no worker is left."""
        return self._crew.is_empty

    def is_clear(self, uuid: str) -> bool:
        """Whether a task may start on this GPU, as far as our own worker goes."""
        keeper = self.keepers.get(uuid)
        return keeper is None or (not self.has_worker(uuid) and not self._crew.has_ended(uuid) and keeper.is_clear)

    def is_late(self, uuid: str) -> bool:
        """Whether the memory of its last worker did not come back in time."""
        keeper = self.keepers.get(uuid)
        return keeper is not None and keeper.is_late

    def has_worker(self, uuid: str) -> bool:
        """Whether a worker of ours is on this GPU, or about to be."""
        return self._crew.get(uuid) is not None

    def held_bytes(self, uuid: str) -> int:
        """What our worker on this GPU says that it holds."""
        worker = self._crew.get(uuid)
        return worker.facts.held_bytes if worker else 0

    @property
    def clearing(self) -> set[str]:
        """The GPUs whose memory is about to come back."""
        keepers = self.keepers.items()
        return {uuid for uuid, one in keepers if one.state is KeepState.YIELDING or not one.is_clear}

    def tick_s(self) -> float:
        """How long the agent may wait before the next step."""
        states = {keeper.state for keeper in self.keepers.values()}
        if self.clearing:
            return CLEARING_TICK_S
        return IDLE_TICK_S if self.is_empty and KeepState.STARTING not in states else BUSY_TICK_S

    def close(self) -> None:
        """End everything that was started; waits for at most a moment."""
        self._crew.close()
        self._exchange.close()
