"""What a keeper is told of its GPU at one moment, and what it orders."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.gpus.devices import Gpu


@dataclass(frozen=True)
class WorkerFacts:
    """What is known of a worker."""

    is_in_cuda: bool = False
    """It has begun to start CUDA."""
    is_ready: bool = False
    held_bytes: int = 0
    busy: float | None = None
    """The share of its last report in which its kernels ran, 0 to 1."""
    stretch: float | None = None
    """In its last report: its kernels' time over what they take alone."""
    reports: int = 0
    """How many there were."""
    heard_at: float | None = None
    """When it said something last."""
    tenant: str = ""
    """It paused itself, and why."""


@dataclass(frozen=True)
class KeepFacts:
    """One GPU at one moment."""

    now: float
    """Monotonic seconds."""
    gpu: Gpu
    utilization: float | None
    """Percent, the mean of the last few readings; None: there are none."""
    rest: str = ""
    """Why no GPU of this node is to be kept busy now; empty: they are."""
    holder: str = ""
    """The try that has a lease on it; empty: none."""
    holder_runs: bool = False
    """It is a running try of this agent."""
    filler_elsewhere: bool = False
    """A filler of another agent sits on it."""
    worker: WorkerFacts | None = None
    """None: there is no process."""
    ended: str | None = None
    """Its worker has just ended, and how; told once."""


@dataclass(frozen=True)
class Order:
    """What is to be done now."""

    start_bytes: int | None = None
    """Start a worker that holds so much."""
    duty: float | None = None
    """Go on with this share."""
    leave: bool = False
    kill: bool = False
