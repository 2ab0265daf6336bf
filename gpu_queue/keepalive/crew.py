"""The workers of one agent, as it sees them: what each has said, was told and holds, and how those ended that did."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gpu_queue.gpus.leases import Footprint, Leases
from gpu_queue.keepalive.exchange import Exchange
from gpu_queue.keepalive.facts import WorkerFacts
from gpu_queue.keepalive.protocol import (
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
    Spawned,
    Starting,
    Tenant,
    WorkerSpec,
)
from gpu_queue.keepalive.starter import Starter, how_ended, kill
from gpu_queue.units import format_size

AGAIN_S = 0.5


@dataclass
class Crewmate:
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

    def tell(self, word: Duty | Exit, now: float) -> None:
        """Say it when it is new, and again from time to time: a duty is a lease, and a word may not get through."""
        if self.told == word and now - self.told_at < AGAIN_S:
            return
        if self.channel.fileno() >= 0 and self.channel.send(word):
            self.told, self.told_at = word, now

    def kill(self) -> None:
        """End it at once, if it has been started."""
        if self.pid is not None:
            kill(self.pid)


class Crew:
    """At most one worker for each GPU.

    Args:
        starter: starts them.
        exchange: where they are listened to.
        leases: where their places on the GPUs are taken.
        say: tells the agent's log.
        tell_change: called when something has changed that people should find soon.
    """

    def __init__(
        self,
        starter: Starter,
        exchange: Exchange,
        leases: Leases,
        say: Callable[[str], None],
        tell_change: Callable[[], None],
    ) -> None:
        self._starter = starter
        self._exchange = exchange
        self._leases = leases
        self._say = say
        self._tell_change = tell_change
        self._workers: dict[str, Crewmate] = {}
        self._ended: dict[str, str] = {}
        """How, until it is taken."""
        self._place_said = ""

    @property
    def is_empty(self) -> bool:
        """Whether no worker is left."""
        return not self._workers

    def get(self, uuid: str) -> Crewmate | None:
        """The worker on a GPU."""
        return self._workers.get(uuid)

    def has_ended(self, uuid: str) -> bool:
        """Whether the end of a worker on this GPU is still to be taken."""
        return uuid in self._ended

    def take_end(self, uuid: str) -> str | None:
        """How the last worker on this GPU has ended, once; None: none has."""
        return self._ended.pop(uuid, None)

    def start(self, spec: WorkerSpec, footprint: Footprint, beside: str, now: float) -> None:
        """Ask for a worker on a free GPU; what cannot be done now is wanted again at the next step.

        Args:
            spec: what it is to be.
            footprint: what it will take, to be told to other agents.
            beside: the try that holds the GPU, which does not hinder it; empty: nobody may.
            now: monotonic seconds.
        """
        try:
            place = self._leases.lock_filler(spec.uuid, footprint, beside)
        except OSError as error:
            problem = f"keep-alive: no place on a GPU can be taken: {error}"
            if problem != self._place_said:
                self._say(problem)
            self._place_said, place = problem, None
        if place is None:
            return
        self._place_said = ""
        ours, theirs = Channel.pair()
        if self._starter.spawn(spec, theirs, place):
            self._workers[spec.uuid] = Crewmate(ours, footprint, now)
            self._exchange.add(ours)
        else:
            ours.close()
        theirs.close()
        os.close(place)

    # -- listening --------------------------------------------------------------------------------------------------

    def listen(self, now: float, *, needs_cuda: bool) -> None:
        """Take in what the workers and the zygote have said, and judge the zygote by it."""
        ready = self._exchange.ready()
        for uuid, worker in list(self._workers.items()):
            if worker.channel.fileno() in ready:
                self._hear_worker(uuid, worker, now)
        if self._starter.channel is not None and self._starter.channel.fileno() in ready:
            self._hear_zygote(self._starter.channel, now, needs_cuda)
        owed = [now - worker.owed_since for worker in self._workers.values() if worker.owed_since is not None]
        if self._starter.check(now, max(owed, default=0.0)):
            for worker in self._workers.values():
                worker.owed_since = None

    def _hear_zygote(self, zygote: Channel, now: float, needs_cuda: bool) -> None:
        try:
            for message in self._exchange.messages(zygote):
                match message:
                    case Ready():
                        self._starter.note_ready(message, now, needs_cuda=needs_cuda)
                    case Failed():
                        self._starter.give_up(message.problem, now)
                    case Spawned() if message.uuid in self._workers:
                        worker = self._workers[message.uuid]
                        worker.pid, worker.owed_since = message.pid, None
                    case Refused() if message.uuid in self._workers:
                        self._note_end(message.uuid, message.problem)
                    case Exited():
                        self._note_end(message.uuid, how_ended(message.status), message.pid)
                    case _:
                        pass
        except Closed:
            for uuid, worker in self._workers.items():
                self._ended[uuid] = worker.problem or "with the process that starts them"
            self._drop_all()
            self._starter.note_end(now)

    def _hear_worker(self, uuid: str, worker: Crewmate, now: float) -> None:
        try:
            for message in self._exchange.messages(worker.channel):
                self._note(uuid, worker, message, now)
        except Closed:  # it is about to go; the zygote tells when it has gone
            self._exchange.drop(worker.channel)
            worker.owed_since = now

    def _note(self, uuid: str, worker: Crewmate, message: Message, now: float) -> None:
        facts = replace(worker.facts, heard_at=now)
        match message:
            case Starting():
                facts = replace(facts, is_in_cuda=True)
            case Holding():
                facts = replace(facts, is_ready=True, held_bytes=message.held_bytes)
                self._tell_change()
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
                self._say(f"keep-alive, {uuid}: memory ran out; it holds {format_size(message.held_bytes)} now")
            case Failed():
                worker.problem = message.problem
            case _:
                pass
        worker.facts = facts

    # -- ends -------------------------------------------------------------------------------------------------------

    def _note_end(self, uuid: str, how: str, pid: int | None = None) -> None:
        worker = self._workers.get(uuid)
        if worker is None or (pid is not None and worker.pid not in (None, pid)):
            return
        del self._workers[uuid]
        self._ended[uuid] = worker.problem or how
        self._exchange.drop(worker.channel)

    def _drop_all(self) -> None:
        for worker in self._workers.values():
            self._exchange.drop(worker.channel)
        self._workers.clear()

    def close(self) -> None:
        """End all, and the zygote; waits for at most a moment."""
        for worker in self._workers.values():
            worker.channel.send(Exit())
        self._starter.close()
        self._drop_all()
