"""The pieces of the keep-alive, so that they can be measured: a card, its readings, zygote, supervisor, agent."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from keepalive_numbers import Reading
from machine import ROOT
from rigs import Spool, end, environment, wait_until

from gpu_queue.agent.main import PLANT_VARIABLE
from gpu_queue.band import Band
from gpu_queue.execution.launcher import start_companion
from gpu_queue.gpus.devices import Devices, Gpu, Health, select_gpus
from gpu_queue.gpus.leases import UNTOLD, Leases
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.simulated import SimulatedDevices
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

SIMULATED = "1x80G"
BASELINE_SLACK_BYTES = 256 << 20
"""As the agent has it: memory is back when no more than this is left of it."""
START_S = 60.0
_FOREIGN_BYTES = 1 << 30
_BUSY_PERCENT = 5

Word = TypeVar("Word")


class NotMeasured(Exception):
    """A part, or a number of it, cannot be had here; the text says why."""


class Card:
    """The one card that is measured."""

    def __init__(self, base: Path, *, is_simulated: bool, wanted: str = "all") -> None:
        """Choose it.

        Args:
            base: where everything of this run lies.
            is_simulated: a card that exists only on paper.
            wanted: index or UUID; ``all``: the first that nobody uses.

        Raises:
            DeviceError: no driver, or no GPU.
            SettingsError: there is no such GPU.
            NotMeasured: somebody is at work on all of them.
        """
        self.is_simulated = is_simulated
        self.node = base / "node"
        self.node.mkdir(mode=0o700)
        # A driver that is a stand-in says where its load is noted; then there is no GPU either.
        self.plant = str(self.node / "simulated") if is_simulated else os.environ.get(PLANT_VARIABLE, "")
        self._devices = self.devices()
        visible = None if is_simulated else os.environ.get("CUDA_VISIBLE_DEVICES")
        found = select_gpus(self._devices.snapshot(), wanted.split(","), visible)
        free = [gpu for gpu in found if _is_free(gpu)]
        if not free:
            uses = ", ".join(f"GPU {gpu.index}: {gpu.problem or _use(gpu)}" for gpu in found)
            raise NotMeasured(f"no GPU is free to be measured ({uses}); a report needs one that nobody uses")
        self.gpu = free[0]
        self.uuid = self.gpu.uuid
        self.total_bytes = self.gpu.memory_total_bytes or 0
        self.baseline_bytes = self.gpu.memory_used_bytes or 0

    def devices(self) -> Devices:
        """A device layer of one's own, for one's own thread."""
        return SimulatedDevices.parse(SIMULATED, plant=self.plant) if self.is_simulated else NvmlDevices()

    def describe(self) -> str:
        return self._devices.describe()

    def engine(self, wanted: str) -> str:
        """The engine that is used here for the one that is meant."""
        return "cpu" if self.plant else wanted

    def read(self) -> Gpu:
        return _of(self._devices, self.uuid)

    @property
    def used_bytes(self) -> int:
        used = self.read().memory_used_bytes
        if used is None:
            raise NotMeasured("the card does not tell how much of its memory is used")
        return used

    def is_back(self) -> bool:
        """Whether nothing worth mentioning is held any more."""
        return self.used_bytes <= self.baseline_bytes + BASELINE_SLACK_BYTES

    def wait_empty(self, every_s: float = 0.002) -> float:
        """Wait until its memory is back; the moment (monotonic)."""
        wait_until(self.is_back, "the card's memory to be back", every_s)
        return time.monotonic()

    def wait_idle(self, patience_s: float = 10.0) -> None:
        """Wait until the gauge has forgotten the last load."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: (self.read().utilization_percent or 0) <= 1, "an idle card", 0.05, patience_s)


def _of(devices: Devices, uuid: str) -> Gpu:
    return next(gpu for gpu in devices.snapshot() if gpu.uuid == uuid)


def _is_free(gpu: Gpu) -> bool:
    known = gpu.health is Health.OK and gpu.memory_used_bytes is not None
    return known and (gpu.memory_used_bytes or 0) < _FOREIGN_BYTES and (gpu.utilization_percent or 0) <= _BUSY_PERCENT


def _use(gpu: Gpu) -> str:
    return f"{(gpu.memory_used_bytes or 0) / 2**30:.1f} GiB used, {gpu.utilization_percent} %"


class Sampler:
    """Reads the card at a steady rate, from a thread of its own, as an exporter would."""

    def __init__(self, card: Card, rate_hz: float = 10.0) -> None:
        self._card = card
        self._period_s = 1 / rate_hz
        self._readings: list[Reading] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        devices = self._card.devices()
        due_s = time.monotonic()
        while not self._is_over.is_set():
            gpu = _of(devices, self._card.uuid)
            facts = (gpu.utilization_percent, gpu.memory_used_bytes, gpu.power_w, gpu.energy_j)
            self._readings.append(Reading(time.monotonic(), *facts))
            due_s = max(due_s + self._period_s, time.monotonic() - self._period_s)
            self._is_over.wait(max(0.0, due_s - time.monotonic()))
        devices.close()

    def between(self, begin_s: float, end_s: float = float("inf")) -> list[Reading]:
        """What was read from one moment to another."""
        return [one for one in self._readings if begin_s <= one.at_s <= end_s]


def watch(card: Card, seconds: float, rate_hz: float = 10.0) -> list[Reading]:
    """Only look, for so long."""
    with Sampler(card, rate_hz) as sampler:
        time.sleep(seconds)
    return sampler.between(0.0)


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
        self._pid = start_zygote(theirs.fileno())
        theirs.close()
        try:
            ready = self.wait_for(Ready, 300.0)
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
            visible=card.uuid,
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
        _see_off(self._pid)


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

    def close(self) -> None:
        self.supervisor.close()
        with contextlib.suppress(TimeoutError):
            self._card.wait_empty()


class Foreground:
    """Somebody's program on the card, in a process of its own."""

    def __init__(self, card: Card) -> None:
        self._process = subprocess.Popen(
            [
                sys.executable,
                str(ROOT / "benchmarks/keepalive_foreground.py"),
                *("--uuid", card.uuid, "--plant", card.plant),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=zygote_environment(),
        )
        self._rest = b""
        self.marks: list[tuple[float, int]] = []
        self.context_at: float | None = None

    def wait_context(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Until it has started CUDA and holds its memory."""

        def is_there() -> bool:
            meanwhile()
            self.listen()
            return self.context_at is not None

        wait_until(is_there, "a program on the card", 0.02)

    def say(self, word: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        self._process.stdin.flush()
        return time.monotonic()

    def listen(self) -> None:
        """Take in its marks."""
        assert self._process.stdout is not None
        while select.select([self._process.stdout], [], [], 0)[0]:
            chunk = os.read(self._process.stdout.fileno(), 65536)
            if not chunk:
                raise RuntimeError("the program on the card ended")
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                what, at_s, count = json.loads(line)
                if what == "context":
                    self.context_at = at_s
                else:
                    self.marks.append((at_s, count))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class KeepingAgent:
    """A real agent with keep-alive on a spool of its own."""

    def __init__(self, base: Path, card: Card, spool: Spool) -> None:
        self.local = card.node
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
                    sys.executable, str(ROOT / "perpetual_motion.py"), "--job-id", spool.job_id,
                    "--queue-root", str(spool.queue_root), "--local-dir", str(self.local),
                    "--lifetime", "20m", "--keepalive-engine", card.engine("matmul"), *devices,
                ],
                env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )
            # fmt: on

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        if self._process.poll() is not None:
            text = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise RuntimeError(f"the agent ended: {text[-1] if text else 'without a word'}")

    def children(self) -> dict[str, int]:
        """Its zygote and its worker, as far as they are there."""
        return processes_below(self.pid)

    def close(self) -> None:
        end(self._process)


def processes_below(parent: int) -> dict[str, int]:
    """The zygote and the worker that a process has started; the zygote that has a worker, if there are several."""
    found: dict[str, int] = {}
    for pid in _children_of(parent):
        if b"gpu_queue.keepalive.zygote" in _command_of(pid) and "worker" not in found:
            found["zygote"] = pid
            found.update(zip(["worker"], _children_of(pid), strict=False))
    return found


def _children_of(pid: int) -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent_of(name) == pid]


def _parent_of(pid: str) -> int:
    try:
        return int(
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        )
    except OSError:
        return -1  # it has just gone


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


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
