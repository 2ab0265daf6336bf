"""What an agent says of itself when it starts, and ``--check`` before it does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime

from gpu_queue.agent.allotted import Allocation, Span, span_of
from gpu_queue.agent.speaker import Speaker
from gpu_queue.agent.surroundings import Surroundings
from gpu_queue.agent.tenants import cards_for_tasks
from gpu_queue.config import Settings, unknown_in_conf
from gpu_queue.execution.launcher import first_line
from gpu_queue.gpus.devices import Gpu
from gpu_queue.keepalive.preflight import look_for_torch
from gpu_queue.sharing import Mode, Sharing
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.units import format_exact_duration


def announce(speaker: Speaker, settings: Settings, around: Surroundings, served: tuple[Gpu, ...]) -> None:
    """All but the last of the first lines, which :func:`ready_line` makes."""
    started_s = time.time()
    speaker.plain(f"Started at: {_local_time(started_s)}")
    allocation = around.allocation
    span = span_of(allocation, settings.lifetime_s, settings.at_end, started_s)
    if span.takes_s == float("inf"):
        speaker.plain("Auto-shutdown at: never")
    else:
        because = ", cut to its allocation" if span.is_cut else ""
        ends = _local_time(started_s + span.takes_s)
        speaker.plain(f"Auto-shutdown at: {ends} ({_length(span)}{because})")
    for line in allocation_lines(settings, allocation, started_s):
        speaker.plain(*line)
    indices = ", ".join(str(gpu.index) for gpu in served)
    speaker.plain(f"Serving {around.spool.paths.root} ({around.spool.mount})")
    speaker.plain(f"Node {around.spool.node}, GPUs {indices} of {around.devices.describe()}")
    if settings.mode is Mode.SHARED:
        text, is_none = cards_line(settings.sharing, served)
        speaker.plain(f"Shared server: {text}", is_none)
    for problem in unknown_in_conf(around.elsewhere.conf):
        speaker.plain(problem, True)


def cards_line(sharing: Sharing, served: Sequence[Gpu]) -> tuple[str, bool]:
    """Which GPUs tasks may have on a shared server, and whether that is none.

    Args:
        sharing: what its owner decides.
        served: the GPUs that the agent serves.
    """
    found = cards_for_tasks(served, sharing)
    index = {gpu.uuid: str(gpu.index) for gpu in served}
    left = sharing.gpu_left
    is_none = not found.competed or (left.of_free and left.cards >= len(found.competed))
    none = "no task gets a GPU: see compete_gpus and gpu_left"
    told = [f"tasks may have GPUs {', '.join(index[uuid] for uuid in found.competed)}" if found.competed else none]
    if found.left:
        told.append(f"{', '.join(index[uuid] for uuid in found.left)} left to others")
    if left.of_free and left.cards:
        told.append(f"{left.cards} of those that are free left to others")
    if is_none and found.competed:
        told.append(none)
    return "; ".join(told), is_none


def allocation_lines(settings: Settings, allocation: Allocation, wall_s: float) -> list[tuple[str, bool]]:
    """What follows from the allocation in which an agent runs, and of each line whether it is a warning.

    Args:
        settings: of the agent.
        allocation: that one.
        wall_s: now, in epoch seconds.
    """
    lines = []
    name = allocation.name or "without a name"
    if allocation.end_s is not None:
        stops_s = span_of(allocation, settings.lifetime_s, settings.at_end, wall_s).stops_s
        back = f"what runs goes back to pending at {_local_time(wall_s + stops_s)}"
        lines.append((f"Allocation {name} ends at {_local_time(allocation.end_s)}; {back}", False))
    elif allocation.name:
        lines.append((f"Allocation {name}", False))
    grace_s = allocation.leave_grace_s(settings.leave_grace_s)
    if allocation.grace_s is not None and grace_s < settings.leave_grace_s:
        kill = f"the platform kills {format_exact_duration(allocation.grace_s)} after its TERM"
        given = f"tasks get {format_exact_duration(grace_s)} of the leave_grace of"
        lines.append(
            (f"Allocation {name}: {kill}, so that {given} {format_exact_duration(settings.leave_grace_s)}", True)
        )
    return [*lines, *((note, True) for note in allocation.notes)]


def lifetime_text(settings: Settings, allocation: Allocation, wall_s: float) -> str:
    """How long an agent would serve, and what becomes of running tasks then."""
    span = span_of(allocation, settings.lifetime_s, settings.at_end, wall_s)
    if span.takes_s == float("inf"):
        return "for ever"
    at_end = "waits for running tasks" if settings.at_end == "wait" else "requeues running tasks"
    because = ", cut to its allocation" if span.is_cut else ""
    return f"{_length(span)}{because}, then {at_end}"


def _length(span: Span) -> str:
    return format_exact_duration(int(span.takes_s) if span.is_cut else span.takes_s)


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
    if settings.mode is Mode.SHARED:
        return "off, on a shared server; idle GPUs are for others", False
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
