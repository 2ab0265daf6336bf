"""The supervisor and its processes: this test plays the zygote and its workers, and chooses the time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpu_queue.band import Band
from gpu_queue.gpus.devices import Gpu, Health
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.falls import FALLS_MAX, GOOD_SPELL_S
from gpu_queue.keepalive.keeper import KeepState, Rules
from gpu_queue.keepalive.protocol import Channel, Exited, Holding, Ready, Spawn, Spawned
from gpu_queue.keepalive.starter import FAREWELL_S, ZYGOTE_ANSWERS_S
from gpu_queue.keepalive.supervisor import CardFacts, Host, Supervisor

GIB = 1 << 30
CARD = Gpu("GPU-0", 0, "a card", 80 * GIB, 0, 0, None, None, Health.OK)
NO_PID = 1 << 30
"""No process has it."""
HOLDING = Holding(48 * GIB, 8192, 0.008)


@dataclass
class Nursery:
    """One agent's supervisor, and the zygotes that it has started."""

    leases: Leases
    now: float = 1000.0
    said: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    zygotes: list[Channel] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    """Our ends, to be closed."""
    rest: str = ""

    def __post_init__(self) -> None:
        host = Host(self._start_zygote, self.leases, self.said.append, lambda engine: engine)
        self.supervisor = Supervisor(host, ["GPU-0"], Rules(Band(), quiet_s=0.0))

    def _start_zygote(self, descriptor: int) -> int:
        self.zygotes.append(Channel.of_descriptor(os.dup(descriptor)))
        self.channels.append(self.zygotes[-1])
        self.processes.append(subprocess.Popen(["sleep", "600"]))
        return self.processes[-1].pid

    def step(self, seconds: float = 0.25, times: int = 1) -> None:
        for _ in range(times):
            self.now += seconds
            self.supervisor.step(self.now, [CardFacts(CARD)], self.rest)

    def torch_is_imported(self) -> None:
        self.step(times=8)
        assert self.zygotes[-1].send(Ready("2.0", True, "python3"))
        self.step()

    def fork(self) -> Channel:
        """Start the worker that is asked for; its end of the socket."""
        self.torch_is_imported()
        received = self.zygotes[-1].receive_with_descriptors()
        assert received is not None
        message, (channel, place) = received
        assert isinstance(message, Spawn)
        os.close(place)
        self.zygotes[-1].send(Spawned("GPU-0", NO_PID))
        worker = Channel.of_descriptor(channel)
        self.channels.append(worker)
        worker.send(HOLDING)
        self.step()
        assert self.state() is KeepState.HOLDING
        return worker

    def zygote_ends(self) -> None:
        os.kill(self.processes[-1].pid, signal.SIGKILL)  # Popen would reap it
        self.zygotes[-1].close()
        self.signal_of_the_end()
        self.step()

    def signal_of_the_end(self) -> int:
        """Of the zygote, which is waited for and left to its parent."""
        end = os.waitid(os.P_PID, self.processes[-1].pid, os.WEXITED | os.WNOWAIT)
        assert end is not None
        return end.si_status

    def state(self) -> KeepState:
        return self.supervisor.keepers["GPU-0"].state

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.supervisor.close()
        for process in self.processes:
            process.wait()
        for channel in self.channels:
            channel.close()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    one = Nursery(Leases(str(tmp_path)))
    yield one
    one.close()


def test_a_zygote_that_does_not_fork_is_killed(nursery: Nursery) -> None:
    nursery.torch_is_imported()
    nursery.step(ZYGOTE_ANSWERS_S - 1)
    assert nursery.said == []
    nursery.step(times=8)
    assert any("does not answer" in line for line in nursery.said)
    assert nursery.signal_of_the_end() == signal.SIGKILL


def test_a_zygote_that_does_not_tell_of_the_end_of_a_worker_is_killed_and_replaced(nursery: Nursery) -> None:
    worker = nursery.fork()
    nursery.rest = "a task wants it"
    nursery.step()
    worker.close()  # it has gone, and somebody has stopped the zygote
    nursery.step(times=8)
    assert nursery.supervisor.has_worker("GPU-0")
    nursery.step(ZYGOTE_ANSWERS_S)
    assert nursery.signal_of_the_end() == signal.SIGKILL
    nursery.zygote_ends()
    assert nursery.supervisor.is_empty, "so the agent can end, and the next task need not wait"
    nursery.rest = ""
    nursery.step(times=20)
    nursery.fork()


def test_zygotes_that_end_far_apart_do_not_add_up(nursery: Nursery) -> None:
    for _ in range(2 * FALLS_MAX):
        worker = nursery.fork()
        worker.send(HOLDING)
        nursery.step(GOOD_SPELL_S)
        worker.close()
        nursery.zygote_ends()
        assert not nursery.supervisor.problem
        nursery.step(times=12)


def test_zygotes_that_end_at_once_are_given_up_and_people_are_told_how_they_ended(nursery: Nursery) -> None:
    nursery.step(times=8)
    for _ in range(FALLS_MAX):
        nursery.zygote_ends()
        nursery.step(times=200)
    assert nursery.supervisor.problem == "the process that starts its workers ended 5 times (signal 9)"
    assert nursery.state() is KeepState.OFF


def test_a_worker_that_leaves_as_it_was_told_is_no_news_and_one_that_falls_is(nursery: Nursery) -> None:
    nursery.fork()
    nursery.rest = "a task wants it"
    nursery.step()
    nursery.zygotes[-1].send(Exited("GPU-0", NO_PID, 0))
    nursery.step()
    assert nursery.state() is KeepState.OFF
    assert nursery.said == []
    nursery.rest = ""
    nursery.fork()
    nursery.zygotes[-1].send(Exited("GPU-0", NO_PID, -9))
    nursery.step()
    assert nursery.said == ["keep-alive, GPU 0: off: its worker ended (signal 9); again in 1.0s"]


def test_an_agent_that_ends_does_not_wait_for_torch_to_be_imported(nursery: Nursery) -> None:
    nursery.step(times=8)
    begun = time.monotonic()
    nursery.supervisor.close()
    assert time.monotonic() - begun < FAREWELL_S / 2


def test_a_place_that_cannot_be_taken_is_told_once(nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nursery.leases, "lock_filler", full)
    nursery.torch_is_imported()
    nursery.step(times=20)
    assert len(nursery.said) == 1
    assert "No space left" in nursery.said[0]
    monkeypatch.undo()
    nursery.step()
    received = nursery.zygotes[-1].receive_with_descriptors()
    assert received is not None
    for descriptor in received[1]:
        os.close(descriptor)
