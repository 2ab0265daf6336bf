"""What an agent costs that has nothing to do."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from machine import cpu_of, resident_mb
from rigs import Agent, Spool

_END_OF_LISTING = " = 0"


def measure_idle(base: Path, seconds: float) -> dict[str, Any]:
    """Processor and memory; then, since it costs processor itself, strace counts listings."""
    with closing(Agent(base, Spool(base, "idle"))) as agent:
        time.sleep(2.0)
        before = cpu_of(agent.pid)
        time.sleep(seconds)
        used = cpu_of(agent.pid) - before
        return {
            "seconds": seconds,
            "cpu_percent": round((used.own_s + used.children_s) / seconds * 100, 3),
            "resident_mb": round(resident_mb(agent.pid), 1),
            "listings_per_s": _listings_per_s(agent.pid, base / "strace.out", seconds),
        }


def _listings_per_s(pid: int, output: Path, seconds: float) -> float | None:
    """None where strace is missing or may not look."""
    if shutil.which("strace") is None:
        return None
    command = ["strace", "-f", "-q", "-e", "trace=getdents64", "-o", str(output), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as tracer:
        time.sleep(seconds)
        is_tracing = tracer.poll() is None
        if is_tracing:
            tracer.send_signal(signal.SIGINT)
    if not is_tracing:
        return None
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    return round(sum(line.endswith(_END_OF_LISTING) for line in lines) / seconds, 2)
