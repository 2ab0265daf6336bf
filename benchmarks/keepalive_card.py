"""The one card that is measured, and who reads it."""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from keepalive_numbers import Reading
from rigs import wait_until

from gpu_queue.agent.main import PLANT_VARIABLE
from gpu_queue.gpus.devices import Devices, Gpu, Health, select_gpus
from gpu_queue.gpus.nvml import NvmlDevices
from gpu_queue.gpus.simulated import SimulatedDevices

SIMULATED = "1x80G"
BASELINE_SLACK_BYTES = 256 << 20
"""As the agent has it: memory is back when no more than this is left of it."""
QUIET_S = 3.0
"""A card is free when all readings of so long say so."""
PATIENCE_S = 12.0
_LOOK_S = 0.1
_FOREIGN_BYTES = 1 << 30
_BUSY_PERCENT = 5


class NotMeasured(Exception):
    """A part, or a number of it, cannot be had here; the text says why."""


class Quiet:
    """Which cards nobody uses.  Pure.

    A single reading says little: right after the driver was loaded, as it is at nvmlInit without persistence mode,
    it scrubs ECC memory and reports that as utilisation (nvml.h).
    """

    def __init__(self, for_s: float = QUIET_S) -> None:
        self._for_s = for_s
        self._since: dict[str, float] = {}

    def feed(self, now: float, gpus: Sequence[Gpu]) -> list[Gpu]:
        """Take in a reading; the cards that have been free for long enough by now."""
        for gpu in gpus:
            if is_unused(gpu):
                self._since.setdefault(gpu.uuid, now)
            else:
                self._since.pop(gpu.uuid, None)
        return [gpu for gpu in gpus if now - self._since.get(gpu.uuid, now) >= self._for_s]


def is_unused(gpu: Gpu) -> bool:
    """Whether one reading tells of nobody."""
    return _is_unheld(gpu) and (gpu.utilization_percent or 0) <= _BUSY_PERCENT


def _is_unheld(gpu: Gpu) -> bool:
    used_bytes = gpu.memory_used_bytes
    return gpu.health is Health.OK and used_bytes is not None and used_bytes < _FOREIGN_BYTES


class Card:
    """The one card that is measured.  NVML stays open for as long as it is there, so that no driver is unloaded."""

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
        self.gpu = self._choose(wanted.split(","), visible)
        self.uuid = self.gpu.uuid
        self.total_bytes = self.gpu.memory_total_bytes or 0
        self.baseline_bytes = self.gpu.memory_used_bytes or 0

    def _choose(self, wanted: Sequence[str], visible: str | None) -> Gpu:
        quiet = Quiet(_LOOK_S if self.is_simulated else QUIET_S)
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            found = select_gpus(self._devices.snapshot(), list(wanted), visible)
            free = quiet.feed(time.monotonic(), found)
            if free:
                return free[0]
            # Memory that is held is no false reading.
            if time.monotonic() > give_up_at or not any(map(_is_unheld, found)):
                uses = ", ".join(f"GPU {gpu.index}: {gpu.problem or _use(gpu)}" for gpu in found)
                raise NotMeasured(f"no GPU is free to be measured ({uses}); a report needs one that nobody uses")
            time.sleep(_LOOK_S)

    def devices(self) -> Devices:
        """A device layer of one's own, for one's own thread."""
        return SimulatedDevices.parse(SIMULATED, plant=self.plant) if self.is_simulated else NvmlDevices()

    def describe(self) -> str:
        return self._devices.describe()

    @property
    def driver(self) -> str:
        """Its version."""
        if self.is_simulated:
            return "none"
        nvml = importlib.import_module("pynvml")
        try:
            return str(nvml.nvmlSystemGetDriverVersion())
        except nvml.NVMLError as error:
            return f"not told: {error}"

    @property
    def count_of_node(self) -> int:
        """How many the node has; one of them is measured."""
        return len(self._devices.snapshot())

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

    def percent_of_memory(self, used_bytes: float) -> float:
        """What is used beyond what was before, of the card's."""
        return round(100 * (used_bytes - self.baseline_bytes) / self.total_bytes, 2)

    def is_back(self, beside_bytes: int = 0) -> bool:
        """Whether nothing worth mentioning is held any more, but for what somebody else has."""
        return self.used_bytes <= self.baseline_bytes + beside_bytes + BASELINE_SLACK_BYTES

    def wait_empty(self, every_s: float = 0.002, patience_s: float = 30.0) -> float:
        """Wait until its memory is back; the moment (monotonic)."""
        wait_until(self.is_back, "the card's memory to be back", every_s, patience_s)
        return time.monotonic()

    def wait_idle(self, patience_s: float = 10.0) -> None:
        """Wait until the gauge has forgotten the last load."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: (self.read().utilization_percent or 0) <= 1, "an idle card", 0.05, patience_s)


def _of(devices: Devices, uuid: str) -> Gpu:
    return next(gpu for gpu in devices.snapshot() if gpu.uuid == uuid)


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
