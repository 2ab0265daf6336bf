"""The pieces of the keep-alive, so that they can be measured: a zygote, its workers, a supervisor."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from keepalive_card import Card
from machine import ROOT
from rigs import wait_until

from gpu_queue.band import Band
from gpu_queue.execution.launcher import start_companion
from gpu_queue.gpus.leases import UNTOLD, Leases
from gpu_queue.keepalive.keeper import RESERVE_BYTES, Keeper, KeepState, Rules
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
    Spawn,
    Spawned,
    WorkerSpec,
)
from gpu_queue.keepalive.sizes import DEFAULT_FRACTION, matrix_size, memory_goal_bytes
from gpu_queue.keepalive.supervisor import CardFacts, Host, Supervisor

START_S = 60.0
ZYGOTE_S = 300.0
"""A first import of torch from cold storage takes minutes."""

Word = TypeVar("Word")


def zygote_environment() -> dict[str, str]:
    """As the agent gives it to its zygote."""
    kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}


def start_zygote(descriptor: int) -> int:
    """A real one, of this Python."""
    return start_companion(
        [sys.executable, "-m", "gpu_queue.keepalive.zygote", "--fd"], zygote_environment(), descriptor
    )


class Ear:
    """One channel, and what came out of it."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._heard: list[Message] = []

    def wait_for(self, kind: type[Word], patience_s: float = START_S) -> Word:
        """The next message of a kind; what a worker or zygote fails with becomes the reason."""
        give_up_at = time.monotonic() + patience_s
        while True:
            for place, message in enumerate(self._heard):
                if isinstance(message, kind):
                    del self._heard[: place + 1]
                    return message
                if isinstance(message, Failed) or (isinstance(message, Refused) and message.uuid):
                    raise RuntimeError(message.problem)
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no {kind.__name__} within {patience_s:.0f} s")
            select.select([self.channel], [], [], left_s)
            self.take()

    def take(self) -> None:
        """Take in what has come."""
        try:
            while message := self.channel.receive():
                self._heard.append(message)
        except Closed:
            if not any(isinstance(one, Failed) for one in self._heard):
                raise RuntimeError("its process ended without a word") from None

    def drop(self, kind: type[Message]) -> None:
        """Forget what has come of a kind."""
        self.take()
        self._heard = [one for one in self._heard if not isinstance(one, kind)]


class Filler(Ear):
    """One real worker, told what to do by hand."""

    def __init__(self, nursery: Nursery, channel: Channel, spec: WorkerSpec) -> None:
        super().__init__(channel)
        self._nursery = nursery
        self.spec = spec
        self.pid = nursery.wait_for(Spawned).pid
        self.holding = self.wait_for(Holding)

    def say(self, word: Message) -> None:
        if not self.channel.send(word):
            raise RuntimeError("a worker does not listen")

    def leave(self) -> float:
        """Tell it to go, and see it gone; when it was told."""
        told_s = time.monotonic()
        self.say(Exit())
        self._nursery.wait_for(Exited)
        self.channel.close()
        return told_s


class Nursery(Ear):
    """A zygote without an agent."""

    def __init__(self, card: Card) -> None:
        ours, theirs = Channel.pair()
        super().__init__(ours)
        self._card = card
        self._leases = Leases(str(card.node))
        begun_s = time.monotonic()
        self.pid = start_zygote(theirs.fileno())
        theirs.close()
        try:
            ready = self.wait_for(Ready, ZYGOTE_S)
        except BaseException:
            self.close()
            raise
        self.torch = ready.torch
        self.ready_s = time.monotonic() - begun_s

    @contextmanager
    def filler(self, engine: str, *, fraction: float = DEFAULT_FRACTION) -> Iterator[Filler]:
        """A worker that holds, and is paused; gone afterwards.

        Args:
            engine: of a real card.
            fraction: of the memory to hold; 0: a light one.
        """
        card = self._card
        free_bytes = card.total_bytes - card.used_bytes
        goal_bytes = memory_goal_bytes(card.total_bytes, free_bytes, fraction, RESERVE_BYTES) if fraction else 0
        spec = WorkerSpec(
            uuid=card.uuid,
            engine=card.engine(engine),
            total_bytes=card.total_bytes,
            goal_bytes=goal_bytes,
            matrix_size=matrix_size(card.total_bytes),
            plant=card.plant,
        )
        place = self._leases.lock_filler(card.uuid, UNTOLD)
        if place is None:
            raise RuntimeError("another filler sits on the card")
        ours, theirs = Channel.pair()
        self.channel.send(Spawn(spec), [theirs.fileno(), place])
        theirs.close()
        os.close(place)
        filler = None
        try:
            filler = Filler(self, ours, spec)
            yield filler
        finally:
            if ours.fileno() >= 0:
                ours.close()  # at the end of file it leaves by itself
            wait_until(lambda: card.uuid not in self._leases.fillers(), "a worker to be gone")
            card.wait_empty()
            self.drop(Exited)

    def close(self) -> None:
        self.channel.close()
        _see_off(self.pid)


class Keeping:
    """The supervisor with its own zygote and worker; this process plays the agent."""

    def __init__(self, card: Card, rules: Rules | None = None) -> None:
        self._card = card
        self._leases = Leases(str(card.node))
        self.said: list[str] = []
        host = Host(start_zygote, self._leases, self.said.append, card.engine, card.plant)
        self.supervisor = Supervisor(host, [card.uuid], rules or Rules(Band()))
        self.holder = ""
        """A task that has, or wants, the card."""
        self.started_s = 0.0
        """When its last worker was started."""
        self._stepped_s = float("-inf")

    @property
    def keeper(self) -> Keeper:
        return self.supervisor.keepers[self._card.uuid]

    def step(self) -> None:
        self._stepped_s = time.monotonic()
        lives = self._card.uuid in self._leases.fillers()
        facts = CardFacts(self._card.read(), self.holder, bool(self.holder), lives)
        self.supervisor.step(time.monotonic(), [facts], "")
        if self.supervisor.problem or self.keeper.state is KeepState.FAILED:
            raise RuntimeError(self.supervisor.problem or self.keeper.reason)

    def step_if_due(self) -> None:
        """Step when an agent would: when there is a message, or its tick has passed."""
        is_due = time.monotonic() - self._stepped_s >= self.supervisor.tick_s()
        if is_due or select.select([self.supervisor.fd], [], [], 0)[0]:
            self.step()

    def run_until(self, condition: Callable[[], bool], what: str, patience_s: float = START_S) -> float:
        """Step as the agent does until it is so; the moment (monotonic)."""
        give_up_at = time.monotonic() + patience_s
        while True:
            self.step()
            if condition():
                return time.monotonic()
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"waited {patience_s:.0f} s in vain for {what}; {self.keeper.state.value}")
            select.select([self.supervisor.fd], [], [], self.supervisor.tick_s())

    def run_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= until_s, "time to pass", seconds + 5)

    def run_to(self, state: KeepState) -> float:
        return self.run_until(lambda: self.keeper.state is state, state.value)

    def hold(self) -> float:
        """Have the card held, as it soon is after a task of the agent's own; when the worker was started."""
        self.begin()
        self.run_to(KeepState.HOLDING)
        return self.started_s

    def begin(self) -> None:
        """The same, until the worker is started."""
        self.holder = "a task"
        self.run_for(0.2)
        self.holder = ""
        self.started_s = self.run_to(KeepState.STARTING)

    def is_gone(self) -> bool:
        """Whether no process of its worker is left."""
        return not self.supervisor.has_worker(self._card.uuid) and self._card.uuid not in self._leases.fillers()

    def yield_to_task(self) -> float:
        """A task wants the card: seconds from this moment until the worker is gone and its memory back."""
        wanted_s = time.monotonic()
        self.holder = "a task"
        back_s = self.run_until(lambda: self.is_gone() and self._card.is_back(), "the card's memory", 20.0)
        self.run_until(lambda: self.supervisor.is_clear(self._card.uuid), "the supervisor to see it", 20.0)
        self.holder = ""
        return back_s - wanted_s

    def close(self) -> None:
        self.supervisor.close()
        with contextlib.suppress(TimeoutError):
            self._card.wait_empty()


def _see_off(pid: int) -> None:
    give_up_at = time.monotonic() + 3.0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > give_up_at:
            os.kill(pid, signal.SIGKILL)  # ours, and not reaped yet
            os.waitpid(pid, 0)
            return
        time.sleep(0.005)


PROBE = Holding(0, 0, 0.0)
"""No worker obeys it: its answer tells that all words before it were obeyed, and that no kernel runs."""


def pause_s(filler: Filler) -> float:
    """From the word to pause to the answer that comes after the last kernel."""
    begun_s = time.monotonic()
    filler.say(Duty(0.0, 1.0))
    filler.say(PROBE)
    filler.wait_for(Refused, 5.0)
    return time.monotonic() - begun_s
