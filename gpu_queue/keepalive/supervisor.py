"""The keep-alive in the agent: one keeper and at most one worker process for each GPU, all started by one zygote.

- ``step`` observes (messages, readings), lets each keeper judge, and does what it orders.  It never waits: no socket
  blocks, and what cannot be sent now is wanted again at the next step.
- The zygote has torch imported, so that a worker starts in moments, and it is started when the first GPU is to be
  held.  The agent itself never imports torch.
- Workers obey leases of a few seconds: an agent that hangs, in the driver for example, loads nothing.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from gpu_queue.gpus.devices import Gpu
from gpu_queue.gpus.leases import Footprint, Leases
from gpu_queue.keepalive.keeper import GOOD_SPELL_S, Keeper, KeepFacts, KeepState, Order, Rules, WorkerFacts
from gpu_queue.keepalive.protocol import (
    BadMessage,
    Channel,
    Closed,
    Duty,
    Exit,
    Exited,
    Failed,
    Holding,
    Message,
    Ready,
    Refused,
    Report,
    Shrunk,
    Spawn,
    Spawned,
    Tenant,
    WorkerSpec,
)
from gpu_queue.keepalive.sizes import matrix_size
from gpu_queue.units import format_duration, format_size

BUSY_TICK_S = 0.1
"""How often memory and utilisation are read while a worker lives."""
CLEARING_TICK_S = 0.02
"""The same while a task waits for a GPU to be empty."""
IDLE_TICK_S = 1.0
MEAN_OVER_S = 0.5
DUTY_FOR_S = 3.0
"""How long a worker may go on without hearing from us."""
AGAIN_S = 0.5
SETTLED_S = 4.0
ZYGOTE_TIMEOUT_S = 300.0
"""Importing torch takes two seconds, on cold container storage twenty."""
ZYGOTE_ANSWERS_S = 10.0
"""So long it may take to tell of a fork, or of the end of a worker; then it hangs."""
ZYGOTE_FALLS_MAX = 5
PROBLEM_REST_S = 600.0
"""What keeps the whole node from being held is tried again after this."""
FAREWELL_S = 2.0
"""Between the end of the zygote's socket and KILL; it gives its workers a second of it."""


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


@dataclass
class Worker:
    """A worker process, or one that the zygote is about to start."""

    channel: Channel
    noted: Footprint
    """What other agents are told of it."""
    owed_since: float | None
    """Since when the zygote owes a word: that it has forked it, or that it has ended."""
    pid: int | None = None
    facts: WorkerFacts = field(default_factory=WorkerFacts)
    problem: str = ""
    """What it said of its own end."""
    told: Duty | Exit | None = None
    told_at: float = float("-inf")


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
        self.keepers = {uuid: Keeper(uuid, rules) for uuid in uuids}
        self._workers: dict[str, Worker] = {}
        self._ended: dict[str, str] = {}
        self._readings: dict[str, deque[tuple[float, int]]] = {uuid: deque() for uuid in self.keepers}
        self._zygote: Channel | None = None
        self._zygote_pid: int | None = None
        self._zygote_is_ready = False
        self._zygote_since = 0.0
        self._zygote_falls = 0
        self._zygote_end = ""
        """How the last one ended."""
        self._zygote_not_before = float("-inf")
        self.problem = ""
        """Why nothing can be held on this node."""
        self._problem_at = float("-inf")
        self._problem_said = ""
        self._place_said = ""
        self._epoll = select.epoll()
        self.has_changed = False
        """Something that people look for in the node file."""
        self._tell_at: dict[str, float] = {}
        """GPUs that were taken a moment ago: their readings are worth telling when they have settled."""

    @property
    def fd(self) -> int:
        """Readable when a worker or the zygote has something to say."""
        return self._epoll.fileno()

    # -- the step ---------------------------------------------------------------------------------------------------

    def step(self, now: float, cards: Iterable[CardFacts], rest: str) -> None:
        """Observe, judge, act.

        Args:
            now: monotonic seconds.
            cards: the GPUs that are served.
            rest: why none is to be held at present; empty: they are.
        """
        self._listen(now)
        self._watch_zygote(now)
        if self.problem and now - self._problem_at >= PROBLEM_REST_S:
            self.try_again()
        for uuid in [uuid for uuid, at in self._tell_at.items() if now >= at]:
            del self._tell_at[uuid]
            self.has_changed = True
        for card in cards:
            keeper = self.keepers.get(card.gpu.uuid)
            if keeper is not None:
                self._step_one(keeper, card, rest or self.problem, now)

    def _step_one(self, keeper: Keeper, card: CardFacts, rest: str, now: float) -> None:
        uuid, worker = keeper.uuid, self._workers.get(keeper.uuid)
        facts = KeepFacts(
            now,
            card.gpu,
            self._mean_utilization(uuid, card.gpu, now),
            rest,
            card.holder,
            card.holder_runs,
            card.filler_lives and worker is None and uuid not in self._ended,
            worker.facts if worker else None,
            self._ended.pop(uuid, None),
        )
        before = (keeper.state, keeper.reason)
        order = keeper.step(facts)
        if (keeper.state, keeper.reason) != before:
            self.has_changed = True
            if keeper.state is KeepState.HOLDING:
                self._tell_at[uuid] = now + SETTLED_S
            has_fallen = facts.ended is not None and before[0] in (KeepState.STARTING, KeepState.HOLDING)
            if has_fallen or keeper.state in (KeepState.BACKING_OFF, KeepState.FAILED):
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
        worker = self._workers.get(keeper.uuid)
        if worker is None:
            if order.start_bytes is not None:
                self._start(keeper, gpu, order.start_bytes, now)
            return
        self._note_footprint(keeper, worker, gpu)
        if order.kill and worker.pid is not None:
            _kill(worker.pid)
        if order.leave:
            self._tell(worker, Exit(), now)
        elif order.duty is not None:
            self._tell(worker, Duty(order.duty, DUTY_FOR_S), now)

    def _tell(self, worker: Worker, word: Duty | Exit, now: float) -> None:
        """Say it when it is new, and again from time to time: a duty is a lease, and a word may not get through."""
        if worker.told == word and now - worker.told_at < AGAIN_S:
            return
        if worker.channel.fileno() >= 0 and worker.channel.send(word):
            worker.told, worker.told_at = word, now

    def _note_footprint(self, keeper: Keeper, worker: Worker, gpu: Gpu) -> None:
        if worker.noted == keeper.footprint:
            return
        worker.noted = keeper.footprint
        try:
            self._host.leases.note_footprint(keeper.uuid, keeper.footprint)
        except OSError as error:  # the next change is told again
            self._host.say(f"keep-alive, GPU {gpu.index}: other agents cannot be told what it holds: {error}")

    def _start(self, keeper: Keeper, gpu: Gpu, goal_bytes: int, now: float) -> None:
        if self._zygote is None:
            self._start_zygote(now)
        if self._zygote is None or not self._zygote_is_ready:
            return
        total_bytes = gpu.memory_total_bytes or 0
        try:
            spec = WorkerSpec(
                uuid=keeper.uuid,
                engine=self._host.engine(self._rules.engine),
                total_bytes=total_bytes,
                goal_bytes=goal_bytes,
                matrix_size=matrix_size(total_bytes),
                plant=self._host.plant,
                visible=gpu.uuid,
            )
        except BadMessage as error:
            self._give_up(f"{error}", now)
            return
        try:
            place = self._host.leases.lock_filler(keeper.uuid, keeper.footprint, keeper.beside)
        except OSError as error:
            problem = f"keep-alive: no place on a GPU can be taken: {error}"
            if problem != self._place_said:
                self._host.say(problem)
            self._place_said, place = problem, None
        if place is None:
            return
        self._place_said = ""
        ours, theirs = Channel.pair()
        if self._zygote.send(Spawn(spec), [theirs.fileno(), place]):
            self._workers[keeper.uuid] = Worker(ours, keeper.footprint, now)
            self._epoll.register(ours.fileno(), select.EPOLLIN)
        else:
            ours.close()  # wanted again at the next step
        theirs.close()
        os.close(place)

    # -- the zygote -------------------------------------------------------------------------------------------------

    def _start_zygote(self, now: float) -> None:
        if now < self._zygote_not_before or not self._reap():
            return
        ours, theirs = Channel.pair()
        try:
            self._zygote_pid = self._host.start_zygote(theirs.fileno())
        except OSError as error:
            ours.close()
            self._give_up(f"its process cannot be started: {error}", now)
            return
        finally:
            theirs.close()
        self._zygote, self._zygote_is_ready, self._zygote_since = ours, False, now
        self._epoll.register(ours.fileno(), select.EPOLLIN)

    def _give_up(self, problem: str, now: float) -> None:
        """For some time: somebody may install torch."""
        if self.problem:
            return
        self.problem, self._problem_at = problem, now
        self.has_changed = True
        if problem != self._problem_said:
            self._problem_said = problem
            self._host.say(f"keep-alive: off: {problem}")

    def _watch_zygote(self, now: float) -> None:
        if self._zygote is None or self._zygote_pid is None:
            return
        if not self._zygote_is_ready:
            if now - self._zygote_since >= ZYGOTE_TIMEOUT_S:
                _kill(self._zygote_pid)
                self._give_up(f"torch was not imported within {ZYGOTE_TIMEOUT_S / 60:.0f} min", now)
            return
        waits_s = [now - worker.owed_since for worker in self._workers.values() if worker.owed_since is not None]
        if max(waits_s, default=0.0) >= ZYGOTE_ANSWERS_S:
            self._host.say("keep-alive: the process that starts its workers does not answer; it is killed")
            _kill(self._zygote_pid)  # its workers go with it, and new ones come
            for worker in self._workers.values():
                worker.owed_since = None

    def _zygote_has_gone(self, now: float) -> None:
        """With it all workers go; the kernel sees to that."""
        assert self._zygote is not None
        self._close(self._zygote)
        self._zygote, self._zygote_is_ready = None, False
        for uuid, worker in self._workers.items():
            self._ended[uuid] = worker.problem or "with the process that starts them"
            self._close(worker.channel)
        self._workers.clear()
        self._reap()
        if self.problem:
            return
        if now - self._zygote_since >= GOOD_SPELL_S:
            self._zygote_falls = 0
        self._zygote_falls += 1
        rest_s = 2.0**self._zygote_falls
        self._zygote_not_before = now + rest_s
        if self._zygote_falls >= ZYGOTE_FALLS_MAX:
            times = f"{self._zygote_falls} times{self._zygote_end}"
            self._give_up(f"the process that starts its workers ended {times}", now)
        else:
            how = f"ended{self._zygote_end}; again in {format_duration(rest_s)}"
            self._host.say(f"keep-alive: the process that starts its workers {how}")

    def _reap(self) -> bool:
        """Whether no zygote is left."""
        if self._zygote_pid is not None:
            try:
                pid, wait_status = os.waitpid(self._zygote_pid, os.WNOHANG)
            except ChildProcessError:
                pid, wait_status = self._zygote_pid, 0
            if pid:
                self._zygote_pid = None
                self._zygote_end = f" ({_how(os.waitstatus_to_exitcode(wait_status))})"
        return self._zygote_pid is None

    # -- listening --------------------------------------------------------------------------------------------------

    def _listen(self, now: float) -> None:
        ready = {descriptor for descriptor, _ in self._epoll.poll(0)}
        for uuid, worker in list(self._workers.items()):
            if worker.channel.fileno() in ready:
                self._hear_worker(uuid, worker, now)
        if self._zygote is not None and self._zygote.fileno() in ready:
            self._hear_zygote(self._zygote, now)

    def _next(self, channel: Channel) -> Message | None:
        """The next message of a channel; None: no more for now.

        Raises:
            Closed: there will be no more.
        """
        while True:
            try:
                return channel.receive()
            except BadMessage as error:
                self._host.say(f"keep-alive: a message that is none: {error}")

    def _hear_zygote(self, zygote: Channel, now: float) -> None:
        try:
            while (message := self._next(zygote)) is not None:
                match message:
                    case Ready():
                        self._zygote_says_ready(message, now)
                    case Failed():
                        self._give_up(message.problem, now)
                    case Spawned() if message.uuid in self._workers:
                        worker = self._workers[message.uuid]
                        worker.pid, worker.owed_since = message.pid, None
                    case Refused() if message.uuid in self._workers:
                        self._has_ended(message.uuid, message.problem)
                    case Refused():
                        self._host.say(f"keep-alive: {message.problem}")
                    case Exited():
                        self._has_ended(message.uuid, _how(message.status), message.pid)
                    case _:
                        pass
        except Closed:
            self._zygote_has_gone(now)

    def _zygote_says_ready(self, ready: Ready, now: float) -> None:
        if ready.cuda or self._host.engine(self._rules.engine) == "cpu":
            self._zygote_is_ready = True
            return
        self._give_up(f"torch {ready.torch} was built without CUDA; install one that was", now)
        if self._zygote_pid is not None:
            _kill(self._zygote_pid)  # the next one imports what is installed by then

    def _hear_worker(self, uuid: str, worker: Worker, now: float) -> None:
        try:
            while (message := self._next(worker.channel)) is not None:
                self._note(uuid, worker, message, now)
        except Closed:  # it is about to go; the zygote tells when it has gone
            self._close(worker.channel)
            worker.owed_since = now

    def _note(self, uuid: str, worker: Worker, message: Message, now: float) -> None:
        facts = replace(worker.facts, heard_at=now)
        match message:
            case Holding():
                facts = replace(facts, is_ready=True, held_bytes=message.held_bytes)
                self.has_changed = True
            case Report():
                facts = replace(
                    facts,
                    busy=message.busy,
                    stretch=message.stretch,
                    held_bytes=message.held_bytes,
                    reports=facts.reports + 1,
                )
            case Tenant():
                facts = replace(facts, tenant=message.evidence)
            case Shrunk():
                facts = replace(facts, held_bytes=message.held_bytes)
                self._host.say(f"keep-alive, {uuid}: memory ran out; it holds {format_size(message.held_bytes)} now")
            case Failed():
                worker.problem = message.problem
            case Refused():
                self._host.say(f"keep-alive, {uuid}: {message.problem}")
            case _:
                pass
        worker.facts = facts

    def _has_ended(self, uuid: str, how: str, pid: int | None = None) -> None:
        worker = self._workers.get(uuid)
        if worker is None or (pid is not None and worker.pid not in (None, pid)):
            return
        del self._workers[uuid]
        self._ended[uuid] = worker.problem or how
        self._close(worker.channel)

    def _close(self, channel: Channel) -> None:
        if channel.fileno() >= 0:
            self._epoll.unregister(channel.fileno())
            channel.close()

    # -- asked by the agent -----------------------------------------------------------------------------------------

    def obey(self, rules: Rules) -> None:
        """Take over changed rules."""
        self._rules = rules
        for keeper in self.keepers.values():
            keeper.obey(rules)

    def try_again(self) -> None:
        """Forget failures: somebody switched it on anew."""
        self.problem = ""
        self._zygote_falls, self._zygote_not_before = 0, float("-inf")
        for keeper in self.keepers.values():
            keeper.try_again()

    @property
    def is_empty(self) -> bool:
        """Whether no worker is left."""
        return not self._workers

    def is_clear(self, uuid: str) -> bool:
        """Whether a task may start on this GPU, as far as our own worker goes."""
        keeper = self.keepers.get(uuid)
        return keeper is None or (uuid not in self._workers and uuid not in self._ended and keeper.is_clear)

    def is_late(self, uuid: str) -> bool:
        """Whether the memory of its last worker did not come back in time."""
        keeper = self.keepers.get(uuid)
        return keeper is not None and keeper.is_late

    def has_worker(self, uuid: str) -> bool:
        """Whether a worker of ours is on this GPU, or about to be."""
        return uuid in self._workers

    def held_bytes(self, uuid: str) -> int:
        """What our worker on this GPU says that it holds."""
        worker = self._workers.get(uuid)
        return worker.facts.held_bytes if worker else 0

    def tick_s(self) -> float:
        """How long the agent may wait before the next step."""
        states = {keeper.state for keeper in self.keepers.values()}
        if KeepState.YIELDING in states or any(not keeper.is_clear for keeper in self.keepers.values()):
            return CLEARING_TICK_S
        return BUSY_TICK_S if self._workers or states & {KeepState.STARTING} else IDLE_TICK_S

    def close(self) -> None:
        """End everything that was started; waits for at most a moment."""
        for worker in self._workers.values():
            worker.channel.send(Exit())
        if self._zygote is not None:
            self._close(self._zygote)
            self._zygote = None
        # One that is importing torch has no workers, and does not listen.
        kill_at = time.monotonic() + (FAREWELL_S if self._zygote_is_ready else 0.0)
        while not self._reap() and time.monotonic() < kill_at + FAREWELL_S:
            if time.monotonic() >= kill_at and self._zygote_pid is not None:
                _kill(self._zygote_pid)  # its workers have asked the kernel to die with it
            time.sleep(0.005)
        for worker in self._workers.values():
            self._close(worker.channel)
        self._workers.clear()
        self._epoll.close()


def _how(status: int) -> str:
    """How a process ended."""
    return f"signal {-status}" if status < 0 else f"status {status}"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
