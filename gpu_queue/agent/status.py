"""What a node tells about itself: as JSON for programs, laid out for people.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpu_queue.scheduling.facts import GpuFact, GpuState
from gpu_queue.scheduling.watch import Silent, told
from gpu_queue.units import format_duration, format_size, format_utc


@dataclass(frozen=True)
class RunningLine:
    """One try in hand, for people."""

    claim: str
    title: str
    stage: str
    gpus: tuple[int, ...]
    seconds: float
    time_s: float | None
    ending: str = ""


@dataclass(frozen=True)
class KeepLine:
    """The keep-alive of one GPU, for people."""

    state: str
    reason: str
    duty: float | None
    """The share of the time in which it is to work; None: it does not."""
    held_bytes: int
    is_open_loop: bool
    """No reading of the utilisation tells how far it is reached."""
    today_j: float | None
    """What it spent today; None: the device does not tell."""


@dataclass(frozen=True)
class GpuLine:
    """One GPU, for people."""

    fact: GpuFact
    name: str
    used_bytes: int | None
    utilization_percent: int | None
    power_w: float | None
    problem: str = ""
    keep: KeepLine | None = None


@dataclass(frozen=True)
class Status:
    """All that a node file says."""

    node: str
    incarnation: str
    state: str
    state_reason: str
    version: str
    pid: int
    host: str
    started_wall_s: float
    ends_wall_s: float | None
    now_wall_s: float
    devices: str
    gpus: Sequence[GpuLine]
    running: Sequence[RunningLine]
    waiting: int
    reasons: Sequence[tuple[str, str]]
    skipped: int
    settled: tuple[int, int]
    default_gpus: int
    watching: Sequence[Silent]
    problems: Sequence[str]
    seen: Sequence[str]


def as_json(status: Status) -> dict[str, Any]:
    """The node's JSON."""
    return {
        "incarnation": status.incarnation,
        "state": status.state,
        "reason": status.state_reason,
        "version": status.version,
        "host": status.host,
        "pid": status.pid,
        "started_at": format_utc(status.started_wall_s),
        "ends_at": format_utc(status.ends_wall_s) if status.ends_wall_s is not None else None,
        "beat_at": format_utc(status.now_wall_s),
        "devices": status.devices,
        "gpus": [
            {
                "index": line.fact.index,
                "uuid": line.fact.uuid,
                "name": line.name,
                "state": line.fact.state.value,
                "memory_total_bytes": line.fact.memory_total_bytes,
                "memory_used_bytes": line.used_bytes,
                "utilization_percent": line.utilization_percent,
                "power_w": line.power_w,
                "problem": line.problem,
                "keepalive": None if line.keep is None else _keep_json(line.keep),
            }
            for line in status.gpus
        ],
        "running": [
            {
                "claim": one.claim,
                "name": one.title,
                "stage": one.stage,
                "gpus": list(one.gpus),
                "seconds": round(one.seconds),
            }
            for one in status.running
        ],
        "waiting": {
            "count": status.waiting,
            "reasons": [[name, reason[:REASON_MAX]] for name, reason in status.reasons],
        },
        "skipped": status.skipped,
        "default_gpus": status.default_gpus,
        "settled": {"done": status.settled[0], "failed": status.settled[1]},
        "watching": [
            {
                "node": one.node,
                "tries": one.tries,
                "beating": one.beating,
                "silent_s": round(one.silent_s),
                "left_s": round(one.left_s),
            }
            for one in status.watching
        ],
        "problems": list(status.problems),
        "seen": list(status.seen),
    }


def _keep_json(keep: KeepLine) -> dict[str, Any]:
    return {
        "state": keep.state,
        "reason": keep.reason,
        "duty": None if keep.duty is None else round(keep.duty, 3),
        "held_bytes": keep.held_bytes,
        "open_loop": keep.is_open_loop,
        "today_j": None if keep.today_j is None else round(keep.today_j),
    }


REASON_MAX = 300


def printable(text: str) -> str:
    """What a terminal may be shown of a name or a reason: no control characters, and no end of it without end."""
    cut = text if len(text) <= REASON_MAX else f"{text[:REASON_MAX]}…"
    if cut.isprintable():  # as nearly all are: a hundred reasons are looked at letter by letter otherwise
        return cut
    return "".join(letter if letter.isprintable() or "\udc80" <= letter <= "\udcff" else "?" for letter in cut)


def _gpu_text(line: GpuLine) -> str:
    total = format_size(line.fact.memory_total_bytes) if line.fact.memory_total_bytes is not None else "?"
    used = format_size(line.used_bytes) if line.used_bytes is not None else "?"
    utilization = "  ?" if line.utilization_percent is None else f"{line.utilization_percent:3d}"
    power = "" if line.power_w is None else f"  {line.power_w:4.0f} W"
    problem = f"  {line.problem}" if line.problem else ""
    load = f"{utilization}%  {used:>6} of {total:<6}{power}"
    return f"  GPU {line.fact.index:<2} {line.fact.state.value:<8} {load}  {line.name}{problem}"


def _keep_text(line: GpuLine) -> str:
    """The keep-alive's line under its GPU; none where a task is at work and nothing else is to be said."""
    keep = line.keep
    if keep is None or (keep.state == "off" and (not keep.reason or line.fact.state is GpuState.BUSY)):
        return ""
    words = [f"keep-alive {keep.state}"]
    if keep.duty is not None:
        words.append(f"duty {keep.duty * 100:.0f}%{' (not regulated: no utilisation reading)' * keep.is_open_loop}")
    if keep.held_bytes:
        words.append(f"holds {format_size(keep.held_bytes)}")
    if keep.today_j:
        words.append(f"{keep.today_j / 3.6e6:.2f} kWh today")
    if keep.reason:
        words.append(printable(keep.reason))
    return f"         {', '.join(words)}"


def _running_text(one: RunningLine) -> str:
    gpus = ",".join(map(str, one.gpus)) or "-"
    limit = f" of {format_duration(one.time_s)}" if one.time_s is not None else ""
    ending = f"  ({one.ending})" if one.ending else ""
    return f"  {one.stage:<8} {one.claim}  GPU {gpus}  {format_duration(one.seconds)}{limit}{ending}"


def as_text(status: Status) -> str:
    """The node's page for people: what ``gpu_status`` shows."""
    left = ""
    if status.ends_wall_s is not None and status.state != "stopped":
        left = f", ends in {format_duration(status.ends_wall_s - status.now_wall_s)}"
    lines = [f"node {status.node}  {status.state}{left}"]
    if status.state_reason:
        lines.append(f"  {status.state_reason}")
    lines += [f"  note: {printable(problem)}" for problem in status.problems]
    for gpu in status.gpus:
        lines += [text for text in (_gpu_text(gpu), _keep_text(gpu)) if text]
    lines += [_running_text(one) for one in status.running]
    lines += [f"  watches {one.node}: {told(one)}" for one in status.watching]
    lines += [f"  waits {printable(name)}: {printable(reason)}" for name, reason in status.reasons]
    if status.waiting > len(status.reasons):
        lines.append(f"  … and {status.waiting - len(status.reasons)} more wait")
    return "\n".join(lines) + "\n"
