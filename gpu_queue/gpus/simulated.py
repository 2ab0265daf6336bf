"""Simulated GPUs: for laptops, demonstrations and tests.

- ``4``, ``4x80G``: that many, all alike.  Their UUIDs are the same on every host, and nobody takes them for real.
- They idle, unless the JSON file that ``GPU_QUEUE_SIMULATE_FILE`` names says otherwise; it may appear, change and
  vanish at any time: ``{"0": {"used": "10G", "utilization": 40}, "1": {"lost": true}}``.  ``"compute_mode":
  "exclusive process"`` is as ``nvidia-smi -c`` sets it.  ``name`` is what the card is called.
  Temperature and power are told only where it has ``temperature_c``, ``power_w``, ``power_limit_w``.
- They are read where they are asked for: no driver hangs here, and every reading is of its moment.
- The loads of a plant (:mod:`gpu_queue.gpus.plant`) come on top of what that file says.
- A file that cannot be obeyed makes all of them *unknown*, with the reason, until it is put right.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any

from gpu_queue.errors import SettingsError
from gpu_queue.gpus.devices import ComputeMode, Gpu, Health, failing, summarize
from gpu_queue.gpus.plant import Plant, Usage
from gpu_queue.units import format_size, parse_size_bytes

STATE_FILE_VARIABLE = "GPU_QUEUE_SIMULATE_FILE"
_DEFAULT_MEMORY = "80G"
_GAUGES = ("temperature_c", "power_w", "power_limit_w")
_GAUGE_MAX = 10_000
_KEYS = ("used", "utilization", "lost", "compute_mode", "name", *_GAUGES, "processes")
"""The last is for :mod:`gpu_queue.gpus.processes`."""
_TEXT = re.compile(r"(\d{1,3})(?:x(.+))?", re.ASCII)


class SimulatedDevices:
    """GPUs that exist only on paper."""

    kind = "simulated"

    def __init__(self, count: int, memory_bytes: int, state_file: str | None = None, plant: str | None = None):
        name = f"simulated {format_size(memory_bytes)}"
        self._idle = tuple(
            Gpu(
                uuid=f"GPU-00000000-0000-0000-0000-{index:012x}",
                index=index,
                name=name,
                memory_total_bytes=memory_bytes,
                memory_used_bytes=0,
                utilization_percent=0,
                power_w=None,
                energy_j=None,
                health=Health.OK,
                compute_mode=ComputeMode.DEFAULT,
            )
            for index in range(count)
        )
        self._state_file = state_file
        self._plant = None if plant is None else Plant(plant)
        self._read_version: tuple[int, int, int] | None = None
        self._gpus = self._idle

    @classmethod
    def parse(cls, text: str, state_file: str | None = None, plant: str | None = None) -> SimulatedDevices:
        """GPUs as ``--simulate`` and ``GPU_QUEUE_SIMULATE`` tell them.

        Args:
            text: ``4``, ``4x80G``.
            state_file: what drives their state; by default what ``GPU_QUEUE_SIMULATE_FILE`` names, if anything.
            plant: the directory of the loads that they carry, if any.

        Raises:
            SettingsError: the text is none of these.
        """
        match = _TEXT.fullmatch(text.strip().lower())
        try:
            count = int(match[1]) if match else 0
            memory_bytes = parse_size_bytes((match and match[2]) or _DEFAULT_MEMORY)
        except ValueError:
            count = memory_bytes = 0
        if count < 1 or memory_bytes < 1:
            raise SettingsError(f"--simulate (GPU_QUEUE_SIMULATE): {text!r}; expected for example 4 or 4x80G")
        return cls(count, memory_bytes, state_file or os.environ.get(STATE_FILE_VARIABLE), plant)

    def describe(self) -> str:
        """One line for people."""
        driven = f", driven by {self._state_file}" if self._state_file else ""
        return f"{summarize(self.snapshot())}{driven}"

    def snapshot(self) -> tuple[Gpu, ...]:
        """All of them, as the state file and the plant have them now."""
        if self._state_file:
            self._reread(self._state_file)
        if self._plant is None:
            return self._gpus
        usages = self._plant.read(time.monotonic_ns())
        return tuple(_loaded(gpu, usages.get(gpu.uuid)) for gpu in self._gpus)

    def attend(self, watched: Set[str], hurried: Set[str], sampled: Set[str] = frozenset()) -> None:
        """Nothing changes: each reading is of its moment."""

    def read_at(self, uuid: str) -> float:  # noqa: ARG002
        """It will be read when it is asked for."""
        return float("inf")

    def sampled_at(self, uuid: str) -> float:  # noqa: ARG002
        """The same."""
        return float("inf")

    def take_news(self) -> Set[str]:
        """There is none that a look would not show."""
        return frozenset()

    def wake_by(self, wake: Callable[[], None]) -> None:
        """Nobody has to be woken."""

    def close(self) -> None:
        """Nothing is held."""

    def _reread(self, path: str) -> None:
        try:
            facts = os.stat(path)
            version = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if version == self._read_version:
                return
            with open(path, encoding="utf-8") as file:
                self._gpus = _driven(self._idle, json.load(file))
            self._read_version = version
        except FileNotFoundError:
            self._gpus, self._read_version = self._idle, None
        except (OSError, ValueError) as error:
            # Read again at the next snapshot: whoever writes it may be in the middle of it.
            problem = f"{path}: {error}"
            self._gpus = tuple(failing(gpu, Health.UNKNOWN, problem) for gpu in self._idle)
            self._read_version = None


def _driven(gpus: tuple[Gpu, ...], states: Any) -> tuple[Gpu, ...]:
    """The GPUs with what a state file says of them; a ValueError names the value that cannot be obeyed."""
    _check(isinstance(states, dict), f"{states!r}; expected an object with a key for each index")
    known = {str(gpu.index) for gpu in gpus}
    for key in states:
        _check(key in known, f"index {key!r}; there are {', '.join(sorted(known, key=int))}")
    return tuple(_one(gpu, states.get(str(gpu.index), {})) for gpu in gpus)


def _one(gpu: Gpu, state: Any) -> Gpu:
    where = f"GPU {gpu.index}"
    _check(isinstance(state, dict), f'{where}: {state!r}; expected an object like {{"used": "10G"}}')
    for key in state:
        _check(key in _KEYS, f"{where}: {key!r}; expected {', '.join(_KEYS[:-1])} or {_KEYS[-1]}")
    utilization, lost = state.get("utilization", 0), state.get("lost", False)
    _check(
        type(utilization) is int and 0 <= utilization <= 100, f"{where}: utilization {utilization!r}; expected 0-100"
    )
    _check(isinstance(lost, bool), f"{where}: lost {lost!r}; expected true or false")
    mode = state.get("compute_mode", ComputeMode.DEFAULT.value)
    modes = [mode.value for mode in ComputeMode]
    _check(mode in modes, f"{where}: compute_mode {mode!r}; expected {', '.join(modes[:-1])} or {modes[-1]}")
    name = state.get("name", gpu.name)
    _check(isinstance(name, str) and name.isprintable(), f"{where}: name {name!r}; expected a text")
    gpu = replace(gpu, name=name, compute_mode=ComputeMode(mode))
    gauges = {name: _gauge(where, name, state[name]) for name in _GAUGES if name in state}
    if lost:
        return failing(gpu, Health.LOST, "lost, as simulated")
    celsius = gauges.get("temperature_c")
    return replace(
        gpu,
        memory_used_bytes=_used_bytes(gpu, state),
        utilization_percent=utilization,
        temperature_c=None if celsius is None else round(celsius),
        power_w=gauges.get("power_w"),
        power_limit_w=gauges.get("power_limit_w"),
    )


def _gauge(where: str, name: str, value: object) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _GAUGE_MAX
    _check(is_number, f"{where}: {name} {value!r}; expected a number from 0 to {_GAUGE_MAX:,}")
    return float(str(value))


def _loaded(gpu: Gpu, usage: Usage | None) -> Gpu:
    """The GPU with its loads; no card holds more than it has."""
    if usage is None or gpu.health is not Health.OK:
        return gpu
    used_bytes = (gpu.memory_used_bytes or 0) + usage.held_bytes
    return replace(
        gpu,
        memory_used_bytes=min(used_bytes, gpu.memory_total_bytes or 0),
        utilization_percent=min(100, (gpu.utilization_percent or 0) + round(100 * usage.busy_share)),
    )


def _used_bytes(gpu: Gpu, state: Mapping[str, Any]) -> int:
    used = state.get("used", 0)
    try:
        used_bytes = parse_size_bytes(str(used))
    except ValueError as error:
        raise ValueError(f"GPU {gpu.index}: used: {error}") from None
    _check(used_bytes <= (gpu.memory_total_bytes or 0), f"GPU {gpu.index}: used {used!r} of {gpu.name}")
    return used_bytes


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise ValueError(problem)
