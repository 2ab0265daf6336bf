"""A real zygote and its workers, in the hands of a test that plays the agent."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gpu_queue.execution.processes import read_process
from gpu_queue.gpus.plant import Plant, Usage
from gpu_queue.keepalive.protocol import (
    Channel,
    Closed,
    Exited,
    Failed,
    Message,
    Spawn,
    Spawned,
    WorkerSpec,
)
from gpu_queue.locks import is_locked, try_lock

ROOT = Path(__file__).resolve().parents[2]
GIB = 1 << 30
HAS_TORCH = importlib.util.find_spec("torch") is not None
"""Asked without importing it, which takes seconds."""
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed: pip install torch")

Word = TypeVar("Word")


def card(index: int) -> str:
    """The UUID of a simulated card."""
    return f"GPU-00000000-0000-0000-0000-{index:012x}"


def is_gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or process.state == "Z"


def wait_until(what: Callable[[], object], within_s: float = 15.0) -> None:
    """Look until it is so; a deadline that passes fails the test."""
    give_up_at = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < give_up_at, "it did not come about"
        time.sleep(0.005)


class Listener:
    """What comes out of one channel, kept."""

    def __init__(self, channel: Channel):
        self.channel = channel
        self.heard: list[Message] = []
        self.is_closed = False

    def listen(self, wait_s: float = 0.0) -> None:
        """Take in what has come, or the first thing that comes."""
        if self.is_closed or self.channel.fileno() < 0 or not select.select([self.channel], [], [], wait_s)[0]:
            return
        try:
            while message := self.channel.receive():
                self.heard.append(message)
        except Closed:
            self.is_closed = True

    def wait_for(
        self, kind: type[Word], is_it: Callable[[Word], bool] = lambda _: True, within_s: float = 50.0
    ) -> Word:
        """The first message of a kind, also when it has been heard before; it is taken out."""
        give_up_at = time.monotonic() + within_s
        while True:
            for place, message in enumerate(self.heard):
                if isinstance(message, kind) and is_it(message):
                    del self.heard[place]
                    return message
            assert not self.is_closed, f"the end instead of {kind.__name__}; heard {self.heard}"
            assert time.monotonic() < give_up_at, f"no {kind.__name__} in {within_s} s; heard {self.heard}"
            self.listen(0.1)

    def wait_for_end(self, within_s: float = 10.0) -> None:
        give_up_at = time.monotonic() + within_s
        while not self.is_closed:
            assert time.monotonic() < give_up_at, f"still open; heard {self.heard}"
            self.listen(0.1)


class Filler(Listener):
    """One worker, seen from the agent."""

    def __init__(self, channel: Channel, spec: WorkerSpec, lock: str):
        super().__init__(channel)
        self.spec = spec
        self.lock = lock
        self.pid = 0

    def say(self, word: Message) -> None:
        assert self.channel.send(word)


class Nursery(Listener):
    """One zygote and what it forked."""

    def __init__(self, base: Path, environment: Mapping[str, str] | None = None, python: tuple[str, ...] = ()):
        ours, theirs = Channel.pair()
        super().__init__(ours)
        self.base = base
        self.plant = Plant(str(base / "simulated"))
        self.fillers: list[Filler] = []
        os.set_inheritable(theirs.fileno(), True)
        self.process = subprocess.Popen(
            [*(python or (sys.executable,)), "-m", "gpu_queue.keepalive.zygote", "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        theirs.close()

    def spec(self, index: int = 0, **changes: Any) -> WorkerSpec:
        facts = {
            "uuid": card(index),
            "engine": "cpu",
            "total_bytes": 80 * GIB,
            "goal_bytes": 48 * GIB,
            "matrix_size": 26624,
            "plant": str(self.base / "simulated"),
        }
        return WorkerSpec(**{**facts, **changes})

    def ask(self, spec: WorkerSpec) -> Filler:
        """Ask for a worker; it need not come about."""
        lock = f"{self.base}/lock.{len(self.fillers)}"
        held = try_lock(lock)
        assert held is not None
        ours, theirs = Channel.pair()
        assert self.channel.send(Spawn(spec), [theirs.fileno(), held])
        theirs.close()
        os.close(held)
        self.fillers.append(Filler(ours, spec, lock))
        return self.fillers[-1]

    def spawn(self, index: int = 0, **changes: Any) -> Filler:
        filler = self.ask(self.spec(index, **changes))
        filler.pid = self.wait_for(Spawned, lambda word: word.uuid == filler.spec.uuid).pid
        return filler

    def usage(self, index: int = 0) -> Usage:
        return self.plant.read(time.monotonic_ns()).get(card(index), Usage(0, 0.0))

    def exited(self, filler: Filler, within_s: float = 10.0) -> int:
        """The status with which a worker ended, as the zygote tells it."""
        return self.wait_for(Exited, lambda word: word.pid == filler.pid, within_s).status

    def failed(self) -> str:
        return self.wait_for(Failed).problem

    def end_fillers(self) -> None:
        """Between tests: whatever is left of the last one goes."""
        for filler in self.fillers:
            filler.channel.close()
        wait_until(lambda: not any(is_locked(filler.lock) for filler in self.fillers))
        self.fillers.clear()
        self.listen()
        self.heard.clear()

    def end(self) -> None:
        self.end_fillers()
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
