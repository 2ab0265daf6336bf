"""Which process a pid means: pids are given again, and mean nothing on another machine or in another container."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass

PID_MAX = 1 << 22
"""No kernel gives a higher one."""


@dataclass(frozen=True)
class Process:
    """One process, and no later one of its pid."""

    pid: int
    start_ticks: int
    """When it was started, since boot."""
    where: str
    """Where its pid counts: :func:`here`."""


@functools.cache
def here() -> str:
    """Where the pids of this process count: the boot, and the namespace of pids; empty where it cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii", errors="replace") as file:
            boot = file.read(100).strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When the process of this pid was started, in ticks since boot; None: there is none here, or it has ended."""
    if not 0 < pid <= PID_MAX:
        return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read(4096).rpartition(b")")[2].split()  # its name may contain anything
    except OSError:
        return None
    return int(fields[19]) if len(fields) > 19 and fields[0] not in (b"Z", b"X") else None


def process_of(pid: int) -> Process | None:
    """The process that has this pid now."""
    ticks = start_ticks(pid)
    return None if ticks is None else Process(pid, ticks, here())


def is_alive(process: Process) -> bool | None:
    """Whether it runs; None: its pid does not count here."""
    if not process.where or process.where != here():
        return None
    return start_ticks(process.pid) == process.start_ticks


def began_by(pid: int, epoch_s: float) -> bool:
    """Whether the process of this pid was there at a moment, a little later perhaps."""
    ticks = start_ticks(pid)
    if ticks is None:
        return False
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_s + ticks / os.sysconf("SC_CLK_TCK") <= epoch_s + CLOCKS_APART_S


CLOCKS_APART_S = 5.0
"""So much a file's time may lie behind: the storage has a clock of its own, and this one may have been set."""
