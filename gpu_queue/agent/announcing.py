"""What an agent says of itself when it starts, and ``--check`` before it does."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime

from gpu_queue.agent.speaker import Speaker
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.config import Settings, unknown_in_conf
from gpu_queue.execution.launcher import first_line
from gpu_queue.gpus.devices import Gpu
from gpu_queue.keepalive.preflight import look_for_torch
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.units import format_exact_duration


def announce(speaker: Speaker, settings: Settings, around: Surroundings, served: tuple[Gpu, ...]) -> None:
    """All but the last of the first lines, which :func:`ready_line` makes."""
    started_s = time.time()
    speaker.plain(f"Started at: {_local_time(started_s)}")
    if settings.lifetime_s == float("inf"):
        speaker.plain("Auto-shutdown at: never")
    else:
        ends = _local_time(started_s + settings.lifetime_s)
        speaker.plain(f"Auto-shutdown at: {ends} ({format_exact_duration(settings.lifetime_s)})")
    indices = ", ".join(str(gpu.index) for gpu in served)
    speaker.plain(f"Serving {around.spool.paths.root} ({around.spool.mount})")
    speaker.plain(f"Node {around.spool.node}, GPUs {indices} of {around.devices.describe()}")
    for problem in unknown_in_conf(around.elsewhere.conf):
        speaker.plain(problem, True)


def ready_line(settings: Settings, around: Surroundings) -> tuple[str, bool]:
    """The last of the first lines, and whether it is a warning; whoever reads it finds this node's page."""
    text, is_problem = keepalive_text(settings, around.devices.kind, around.spool.paths)
    return f"Keep-alive: {text}", is_problem


def keepalive_text(settings: Settings, kind: str, paths: SpoolPaths | None) -> tuple[str, bool]:
    """What becomes of idle GPUs, and whether that is not what was wanted.

    Args:
        settings: what was wanted.
        kind: of the devices: ``nvml`` or ``simulated``.
        paths: the spool, if it is known.
    """
    wanted = settings.keepalive
    if not wanted.enabled:
        return "off; idle GPUs stay idle", False
    if paths is not None and os.path.lexists(paths.flag("keepalive-off")):
        return "off, by gpu_keepalive off; idle GPUs stay idle until gpu_keepalive on", False
    engine = "cpu" if kind == "simulated" else wanted.engine
    torch = look_for_torch(wanted.python or sys.executable, needs_cuda=engine != "cpu", ask=first_line)
    if torch.problem:
        then = "idle GPUs stay idle, and a cluster takes an idle node away"
        return f"off: {torch.problem}: {then}. To mend it: {torch.remedy}", True
    band = f"{wanted.gpu_util_target}-{wanted.gpu_util_high} %"
    memory = f"{wanted.memory_usage_target * 100:.0f} % of the memory"
    quiet = f", quiet hours {wanted.quiet_hours.text}" if wanted.quiet_hours.text else ""
    return f"idle GPUs at {band} by {engine}, {memory}{quiet}", False


def torch_version(settings: Settings) -> str:
    """Of the torch that the keep-alive would use; empty: unknown."""
    return look_for_torch(settings.keepalive.python or sys.executable, needs_cuda=False, ask=first_line).version


def _local_time(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
