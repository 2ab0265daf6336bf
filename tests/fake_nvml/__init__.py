"""A fake ``libnvidia-ml.so.1`` and the scenarios that it plays, so that the real NVML layer runs without a GPU.

A whole agent runs on it::

    library = build(tmp_path)
    scenario = Scenario(tmp_path / "scenario", gpus=[FakeGpu("GPU-a"), FakeGpu("GPU-b")])
    subprocess.run([...], env={**os.environ, **environment(library, scenario)})
    scenario.gpus[1].state = 15          # falls off the bus
    scenario.write()
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

GIB = 1 << 30


def build(directory: Path, without: Sequence[str] = ()) -> Path:
    """Compile the library into a directory, if need be without some of its functions."""
    library = directory / "libnvidia-ml.so.1"
    directory.mkdir(parents=True, exist_ok=True)
    renamed = [f"-D{name}=left_out_{place}" for place, name in enumerate(without)]
    source = Path(__file__).with_name("nvml.c")
    flags = ["-shared", "-fPIC", "-std=gnu99", "-Wall", "-Wextra", f"-Wl,-soname,{library.name}"]
    subprocess.run(["cc", *flags, *renamed, "-o", library, source], check=True)
    library.chmod(0o755)  # whatever the umask: other users' agents load it too
    return library


@dataclass
class FakeSlice:
    """One MIG device."""

    uuid: str
    total: int = 10 * GIB
    used: int = 0
    processes: tuple[int | tuple[int, int], ...] = ()
    """As of a card."""
    name: str = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"

    def text(self) -> str:
        return " ".join(f"{key}={value}" for key, value in vars(self).items() if key != "processes")


@dataclass
class FakeGpu:
    """One card, in the units of NVML: bytes, milliwatts, millijoules."""

    uuid: str
    total: int = 80 * GIB
    used: int = 0
    reserved: int = GIB // 2
    util: int = 0
    power: int = 70_000
    energy: int = 1_000_000
    celsius: int = 34
    limit: int = 700_000
    state: int = 0
    """The code with which every question to it fails; 15: lost."""
    mig: int = 0
    compute: int = 0
    """As ``nvidia-smi -c`` has it: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process."""
    slices: list[FakeSlice] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)
    """Single functions that fail, with their codes."""
    slow: dict[str, int] = field(default_factory=dict)
    """Single functions whose answer takes so many milliseconds; ``*``: each."""
    hangs: set[str] = field(default_factory=set)
    """Single functions that do not answer as long as they stand here; ``*``: none does."""
    processes: tuple[int | tuple[int, int], ...] = ()
    """Pids of those that use it, each with the bytes that it uses if the driver tells them."""
    name: str = "NVIDIA H100 80GB HBM3"

    def lines(self, place: int) -> list[str]:
        values = {**vars(self), "mig": self.mig or int(bool(self.slices))}
        facts = " ".join(f"{key}={value}" for key, value in values.items() if isinstance(value, int | str))
        slices = [f"slice {place} {part.text()}" for part in self.slices]
        fails = [f"fail {place} {name} {code}" for name, code in self.fails.items()]
        processes = [f"process {place} {_words(one)}" for one in self.processes]
        for at, part in enumerate(self.slices):
            processes += [f"process {place}.{at} {_words(one)}" for one in part.processes]
        return [f"gpu {facts}", *slices, *fails, *processes, *_delays(place, self.slow, self.hangs)]


class Call(NamedTuple):
    """One call of the library."""

    at_s: float
    """Monotonic."""
    pid: int
    card: int
    """Its place; -1: the driver was asked."""
    function: str


def _words(process: int | tuple[int, int]) -> str:
    return str(process) if isinstance(process, int) else f"{process[0]} {process[1]}"


def _delays(place: int, slow: Mapping[str, int], hangs: Iterable[str]) -> list[str]:
    return [*(f"slow {place} {name} {ms}" for name, ms in slow.items()), *(f"hang {place} {name}" for name in hangs)]


@dataclass
class Scenario:
    """What the library answers; ``write`` makes a change take effect, also in processes that run."""

    path: Path
    gpus: list[FakeGpu]
    driver: str = "550.54.15"
    init: int = 0
    """The code with which nvmlInit fails."""
    load: int = 1
    """Another number: the driver has been reloaded."""
    plant: str = ""
    """A directory of loads that its cards carry."""
    tenants: str = ""
    """A directory in which processes say themselves what they use: files ``<place>.<pid>`` of bytes and percent."""
    window_ms: int = 500
    """Over which they make up the utilisation."""
    slow: dict[str, int] = field(default_factory=dict)
    """As of a card, for what the driver itself is asked."""
    hangs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.write()

    def write(self) -> None:
        lines = [f"init {self.init}", f"load {self.load}", f"driver {self.driver}", f"window {self.window_ms}"]
        lines += [f"calls {self._calls}", *_delays(-1, self.slow, self.hangs)]
        if self.plant:
            lines.append(f"plant {self.plant}")
        if self.tenants:
            lines.append(f"tenants {self.tenants}")
        for place, gpu in enumerate(self.gpus):
            lines += gpu.lines(place)
        unfinished = self.path.with_name(f".{self.path.name}")
        unfinished.write_text("\n".join(lines) + "\n")
        unfinished.replace(self.path)

    @property
    def _calls(self) -> Path:
        return self.path.with_name(f"{self.path.name}.calls")

    def calls(self) -> list[Call]:
        """All calls so far, of all processes, in the order in which they began."""
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        rows = (line.split() for line in lines)
        return [Call(int(at_ns) / 1e9, int(pid), int(card), function) for at_ns, pid, card, function in rows]

    def calls_of(self, name: str) -> list[Call]:
        """Those of functions with this in their name."""
        return [call for call in self.calls() if name in call.function]


def environment(library: Path, scenario: Scenario) -> dict[str, str]:
    """Variables with which a program takes this library for NVML."""
    paths = [str(library.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), "FAKE_NVML_SCENARIO": str(scenario.path)}
