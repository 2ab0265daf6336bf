"""Who else is on the card: somebody's program, and real agents with keep-alive."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keepalive_below
from keepalive_card import SIMULATED, Card, Sampler
from keepalive_numbers import settled_at
from keepalive_rig import zygote_environment
from machine import ROOT
from rigs import Spool, environment, wait_until

from gpu_queue.agent.main import PLANT_VARIABLE
from gpu_queue.task import State

_END_S = 5.0


def foreground_command(card: Card, take_bytes: int = 0) -> list[str]:
    """Of a program on the card; one that is a task is shown its card by the agent."""
    command = [sys.executable, str(ROOT / "benchmarks/keepalive_foreground.py"), "--take", str(take_bytes)]
    simulated = ["--plant", card.plant, "--total", str(card.total_bytes), "--uuid", card.uuid]
    return [*command, *(simulated if card.plant else [])]


class Foreground:
    """Somebody's program on the card, in a process of its own."""

    def __init__(self, card: Card, *, take_bytes: int = 0, goes: bool = False) -> None:
        """Start it.

        Args:
            card: where.
            take_bytes: of memory, right after its start.
            goes: it multiplies at once, and not when it is told.
        """
        self._process = subprocess.Popen(
            [*foreground_command(card, take_bytes), "--uuid", card.uuid, *(["--go"] if goes else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=zygote_environment(),
        )
        self._rest = b""
        self.marks: list[tuple[float, int]] = []
        self.starting_at: float | None = None
        """Before its first call to CUDA."""
        self.context_at: float | None = None
        """After its first product."""
        self.is_out_of_memory = False

    def wait_context(self, meanwhile: Callable[[], object] = lambda: None) -> float:
        """Until it has its memory and has multiplied once, or has found too little memory; the moment."""

        def is_there() -> bool:
            meanwhile()
            self.listen()
            return self.context_at is not None or self.is_out_of_memory

        wait_until(is_there, "a program on the card", 0.005)
        return self.context_at or time.monotonic()

    @property
    def start_s(self) -> float | None:
        """From its first call to CUDA to its first product."""
        if self.starting_at is None or self.context_at is None:
            return None
        return self.context_at - self.starting_at

    def say(self, word: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        return time.monotonic()

    def listen(self) -> None:
        """Take in what it said."""
        assert self._process.stdout is not None
        while not self.is_out_of_memory and select.select([self._process.stdout], [], [], 0)[0]:
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise RuntimeError(f"the program on the card ended ({self._process.wait()})")
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take_in(*json.loads(line))

    def _take_in(self, what: str, at_s: float, count: int) -> None:
        if what == "starting":
            self.starting_at = at_s
        elif what == "out of memory":
            self.is_out_of_memory = True
        else:
            if what == "context":
                self.context_at = at_s
            self.marks.append((at_s, count))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class KeepingAgent:
    """A real agent with keep-alive on a spool of its own.  Several share the node's own directory."""

    def __init__(self, base: Path, card: Card, job_id: str = "report") -> None:
        base.mkdir(exist_ok=True)
        self.spool = Spool(base, job_id)
        self._card = card
        devices = ["--simulate", SIMULATED] if card.is_simulated else ["--gpus", card.uuid]
        # HOME stays: torch may be installed below it.
        env = {**environment(base), "HOME": os.environ.get("HOME", str(base))}
        if card.plant:
            env[PLANT_VARIABLE] = card.plant
        self.output = base / "agent.out"
        self.begun_s = time.monotonic()
        with self.output.open("wb") as output:
            # fmt: off
            self._process = subprocess.Popen(
                [
                    sys.executable, str(ROOT / "perpetual_motion.py"), "--job-id", job_id,
                    "--queue-root", str(self.spool.queue_root), "--local-dir", str(card.node),
                    "--lifetime", "20m", "--keepalive-engine", card.engine("matmul"), *devices,
                ],
                env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )
            # fmt: on

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Whether it still runs.

        Raises:
            RuntimeError: it does not; with its last words.
        """
        if self._process.poll() is not None:
            text = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"the agent ended: {text[-1] if text else 'without a word'}")

    def children(self) -> dict[str, int]:
        """Its zygote and its worker, as far as they are there."""
        return keepalive_below.zygote_and_worker(self.pid)

    def drop(self, script: str) -> float:
        """Put a script into ``pending/``; the moment (seconds since 1970)."""
        hidden, path = self.spool.prepare(script)
        begun = time.time()
        os.rename(hidden, path)
        return begun

    def run_one(self, patience_s: float = 30.0) -> None:
        """Have a task of its own done: soon after it the card is held, which else may take a minute of quiet.

        It lasts for longer than an idle agent's step, so that the keep-alive has seen it.
        """
        self.wait_settled(1, lambda: self.drop("#!/bin/sh\nsleep 2\n"), patience_s)

    def wait_settled(self, count: int, after: Callable[[], object] = lambda: None, patience_s: float = 30.0) -> None:
        """Do something, and wait until so many more tasks have come to an end."""
        wanted = self._settled() + count
        after()

        def is_so() -> bool:
            self.check()
            return self._settled() >= wanted

        wait_until(is_so, "a task's end", 0.005, patience_s)

    def _settled(self) -> int:
        return self.spool.count(State.DONE) + self.spool.count(State.FAILED)

    def wait_held(self, patience_s: float = 30.0) -> None:
        """Until its worker holds most of what it is to hold, of the memory of its card."""

        def is_held() -> bool:
            self.check()
            return self._card.percent_of_memory(self._card.used_bytes) > 50

        wait_until(is_held, "the filler to hold its memory", 0.02, patience_s)

    def settles(self, sampler: Sampler, since_s: float, patience_s: float) -> float | None:
        """When the utilisation came into the band to stay; None: it did not within so long."""
        settled: list[float] = []

        def is_settled() -> bool:
            self.check()
            at_s = settled_at(sampler.between(since_s))
            settled.extend([] if at_s is None else [at_s])
            return at_s is not None

        try:
            wait_until(is_settled, "the band", 0.05, patience_s)
        except TimeoutError:
            return None
        return settled[0]

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def beside_others(card: Card) -> Iterator[None]:
    """What is used now stays: our memory is back when there is no more than this."""
    empty_bytes = card.baseline_bytes
    card.baseline_bytes = max(empty_bytes, card.used_bytes)
    try:
        yield
    finally:
        card.baseline_bytes = empty_bytes
