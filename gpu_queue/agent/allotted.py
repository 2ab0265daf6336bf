"""The allocation of a cluster in which an agent runs: what its environment says of it, and what follows.  Pure.

- A way of ``submit.sh`` says it in ``GPU_QUEUE_ALLOCATION`` (``<way>:<id>``), ``…_END`` (epoch seconds) and
  ``…_GRACE`` (seconds between the platform's TERM and its KILL).  A job that somebody wrote by hand is known by what
  Slurm or Ray set.
- What is garbled is told and counts as not known: it keeps nobody from serving.
- The order at its end: nothing new is taken (``takes_s``), running tasks go back to pending (``stops_s``), the
  platform's TERM, its KILL.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_queue.texts import printable, shown

ALLOCATION = "GPU_QUEUE_ALLOCATION"
END = "GPU_QUEUE_ALLOCATION_END"
GRACE = "GPU_QUEUE_ALLOCATION_GRACE"

GRACES_S = {"slurm": 30.0, "ray": 3.0, "k8s": 30.0, "sco": 30.0}
"""Between TERM and KILL where nobody says it: as Slurm (KillWait), Ray and Kubernetes wait; of SCO it is a guess."""
GRACE_KEPT_S = 8.0
"""Of the platform's grace: for our own KILL, for moving the tasks on, and for storage that is slow."""
GRACE_PART = 4.0
"""Of a grace so short that nothing would be left, a task gets one part in so many."""
MARGIN_S = 300.0
MARGIN_PART = 10.0
"""So long before its allocation's end an agent takes nothing new; of a shorter allocation one part in so many."""
STOP_MARGIN_S = 10.0
"""Running tasks go back so long before the last moment that leaves them the platform's grace."""
_WAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
_ID_MAX = 200
_CONFIG_MAX = 1 << 20
_HOST_MAX = 36
_TAG_MAX = 20
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True)
class Allocation:
    """A job of a cluster; empty: there is none, as far as anybody tells."""

    way: str = ""
    """``slurm``, ``ray``, ``sco``, ``k8s``, or a way of the user's own."""
    id: str = ""
    """By which its way knows it; empty: not known."""
    end_s: float | None = None
    """When the platform ends it, in epoch seconds; None: never, or not known."""
    grace_s: float | None = None
    """Between the platform's TERM and its KILL; None: not known."""
    cluster: str = ""
    """Which cluster it is of, where its id alone does not say so."""
    is_elsewhere: bool = False
    """The agent knows of it, and its processes are none of those that end with it."""
    notes: tuple[str, ...] = ()
    """What could not be understood, for people."""

    @property
    def name(self) -> str:
        """``<way>:<id>``; empty where there is none."""
        return f"{self.way}:{self.id}" if self.id else ""

    def leave_grace_s(self, wanted_s: float) -> float:
        """Between our TERM and our KILL when the node is taken back, so that all is done before the platform's KILL.

        Args:
            wanted_s: as the settings say.
        """
        if self.grace_s is None:
            return wanted_s
        return min(wanted_s, max(self.grace_s - GRACE_KEPT_S, self.grace_s / GRACE_PART))


@dataclass(frozen=True)
class Span:
    """How long an agent serves; inf: for ever."""

    takes_s: float = math.inf
    """So long after its start it takes new tasks: its lifetime."""
    stops_s: float = math.inf
    """So long after its start running tasks go back to pending."""
    is_cut: bool = False
    """Its lifetime would be longer than its allocation."""

    @property
    def ends_s(self) -> float:
        """So long after its start a task that says its time must be over."""
        return self.takes_s if self.stops_s == math.inf else self.stops_s


def span_of(allocation: Allocation, lifetime_s: float, at_end: str, wall_s: float) -> Span:
    """How long an agent serves that starts now.

    Args:
        allocation: in which it runs.
        lifetime_s: as the settings say; inf: for ever.
        at_end: ``wait`` or ``stop``, as they say.
        wall_s: now, in epoch seconds.
    """
    takes_s, stops_s = lifetime_s, math.inf
    if allocation.end_s is not None:
        left_s = max(0.0, allocation.end_s - wall_s)
        grace_s = GRACES_S["slurm"] if allocation.grace_s is None else allocation.grace_s
        # A job of a minute must not be over before it has begun.
        stops_s = max(left_s - grace_s - STOP_MARGIN_S, left_s / 2)
        takes_s = min(takes_s, stops_s, left_s - min(MARGIN_S, left_s / MARGIN_PART))
    return Span(takes_s, takes_s if at_end == "stop" else stops_s, is_cut=takes_s < lifetime_s)


def allocation_of(environment: Mapping[str, str], wall_s: float) -> Allocation:
    """What an agent's environment says of the allocation in which it runs.

    Args:
        environment: the agent's.
        wall_s: now, in epoch seconds: an end that is over says nothing.
    """
    notes: list[str] = []
    way, id_, grace_s = _said(environment, notes)
    end_s = _end(environment, END, wall_s, notes)
    if not way:
        way, id_, grace_s = _slurm(environment, notes)
        if way and end_s is None:
            end_s = _end(environment, "SLURM_JOB_END_TIME", wall_s, notes)
    if not way:
        way, id_, grace_s = _ray(environment, notes)
    said_grace_s = _seconds(environment, GRACE, notes)
    grace_s = grace_s if said_grace_s is None else said_grace_s
    # A shell of salloc, on the host where somebody typed that, has the variables of a job and stands outside of it.
    is_elsewhere = way == "slurm" and not environment.get("SLURMD_NODENAME")
    cluster = printable(environment.get("SLURM_CLUSTER_NAME", "")) if way == "slurm" else ""
    return Allocation(way, id_, end_s, grace_s, cluster, is_elsewhere, tuple(notes))


def host_in(host: str, allocation: Allocation) -> str:
    """What a host is called by an agent in this allocation: two of them on one host are two nodes.

    Args:
        host: its own name.
        allocation: in which the agent runs.
    """
    if not allocation.id:
        return host
    # A job that Slurm requeues is the same node when it comes back to the same host, and finds what it left.
    id_ = allocation.id.partition(".")[0] if allocation.way == "slurm" else allocation.id
    if len(id_) > _TAG_MAX or not _TAG.fullmatch(id_):
        tail = hashlib.sha256(id_.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        head = re.sub(r"[^A-Za-z0-9_-]", "_", id_)[: _TAG_MAX - 9]
        id_ = f"{head}-{tail}"
    return f"{host[:_HOST_MAX]}-{id_}"


def _said(environment: Mapping[str, str], notes: list[str]) -> tuple[str, str, float | None]:
    text = environment.get(ALLOCATION, "")
    if not text:
        return "", "", None
    way, _, id_ = text.partition(":")
    # A way gets the id as an argument, and people get it on a terminal.
    if not _WAY.fullmatch(way) or not id_ or len(id_) > _ID_MAX or not id_.isprintable() or id_.startswith("-"):
        expected = "expected <way>:<id>, for example slurm:1234.0"
        notes.append(f"{ALLOCATION}: {shown(text)}; {expected}; it counts for nothing")
        return "", "", None
    return way, id_, _ray_grace(environment, notes) if way == "ray" else GRACES_S.get(way)


def _slurm(environment: Mapping[str, str], notes: list[str]) -> tuple[str, str, float | None]:
    text = environment.get("SLURM_JOB_ID") or environment.get("SLURM_JOBID") or ""
    if not text:
        return "", "", None
    if not re.fullmatch(r"[0-9]{1,12}", text):
        notes.append(f"SLURM_JOB_ID: {shown(text)}; expected a number; the agent takes it for no Slurm job")
        return "", "", None
    restarts = environment.get("SLURM_RESTART_COUNT", "")
    count = int(restarts) if re.fullmatch(r"[0-9]{1,6}", restarts) else 0
    return "slurm", f"{int(text)}.{count}", GRACES_S["slurm"]


def _ray(environment: Mapping[str, str], notes: list[str]) -> tuple[str, str, float | None]:
    text = environment.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "")
    if not text:
        return "", "", None
    try:
        value = json.loads(text) if len(text) <= _CONFIG_MAX else None
    except (ValueError, RecursionError):
        value = None
    metadata = value.get("metadata") if isinstance(value, dict) else None
    id_ = metadata.get("job_submission_id") if isinstance(metadata, dict) else None
    is_sound = isinstance(id_, str) and re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{_ID_MAX - 1}}}", id_)
    if not is_sound:
        notes.append("RAY_JOB_CONFIG_JSON_ENV_VAR: names no job; which job of Ray this is, is not known")
    return "ray", str(id_) if is_sound else "", _ray_grace(environment, notes)


def _ray_grace(environment: Mapping[str, str], notes: list[str]) -> float:
    said_s = _seconds(environment, "RAY_JOB_STOP_WAIT_TIME_S", notes)
    return GRACES_S["ray"] if said_s is None else said_s


def _seconds(environment: Mapping[str, str], name: str, notes: list[str]) -> float | None:
    text = environment.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        notes.append(f"{name}: {shown(text)}; expected seconds, for example 30; it counts for nothing")
        return None
    return float(text)


def _end(environment: Mapping[str, str], name: str, wall_s: float, notes: list[str]) -> float | None:
    text = environment.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,11}(\.[0-9]{1,9})?", text):
        notes.append(f"{name}: {shown(text)}; expected epoch seconds, for example 1764460800; it counts for nothing")
        return None
    if float(text) <= wall_s:
        notes.append(f"{name}: {text} is over by this node's clock ({wall_s:.0f}); it counts for nothing")
        return None
    return float(text)
