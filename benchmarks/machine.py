"""What the numbers were taken on, and what processes have used."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_queue.spool.filesystem import mount_of

ROOT = Path(__file__).resolve().parents[1]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def facts(directory: Path) -> dict[str, str]:
    """The machine in words, for whoever compares."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "filesystem": mount_of(str(directory)).kind,
        "sh": os.path.basename(os.path.realpath(shutil.which("sh") or "sh")),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _commit(),
    }


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "?"


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "?"  # no git, as in many a container
    return asked.stdout.strip() or "?"


@dataclass(frozen=True)
class Cpu:
    """Processor seconds of a process, and of its children that it has waited for."""

    own_s: float
    children_s: float

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.own_s - earlier.own_s, self.children_s - earlier.children_s)


def cpu_of(pid: int) -> Cpu:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    user, system, children_user, children_system = (int(field) / _TICKS_PER_S for field in fields[11:15])
    return Cpu(user + system, children_user + children_system)


def resident_mb(pid: int) -> float:
    """Its resident memory in MB."""
    return int(_field(f"/proc/{pid}/status", "VmRSS").split()[0]) * 1024 / 1e6


def timed(command: Sequence[str], cwd: Path | None = None) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a command takes, its children included."""
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return ended - begun, usage.ru_utime + usage.ru_stime


def summary(values_s: Sequence[float]) -> dict[str, float]:
    """Median and tail of some durations, in milliseconds."""
    ordered = sorted(values_s)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)

    return {
        "count": len(ordered),
        "median_ms": round(statistics.median(ordered) * 1000, 3),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
    }
