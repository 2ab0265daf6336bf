"""The paths of the user's own document (`/api/scheduler/*`, `/api/log/*`).

There is no scheduler process here.  ``pid`` is an integer that names a *process*, that is a task: the value of the
six hex digits of its id (``7ad896`` is 8050838).  The pid of the operating system is ``node_pid``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model

PID = "The value of the six hex digits of the task's id; no process id of the operating system."


class Process(Model):
    """A task."""

    pid: int | None = Field(
        description=f"{PID} null: a file that was dropped by hand and has no id yet.", examples=[8050838]
    )
    id: str = Field(description="Its key.")
    name: str
    command: str = ""
    state: Literal["pending", "running", "completed", "failed"]
    node: str = ""
    gpus: list[int] = []
    memory_gb: float | None = None
    retry_count: int | None = None
    error_type: str = ""
    reason: str = ""
    log_bound: bool = False


class SchedulerQueue(Model):
    """A serial queue, or the tasks of none (null)."""

    queue: str | None
    state: Literal["busy", "idle"]
    pending: int
    running: int
    completed: int | None
    failed: int | None
    processes: list[Process]


class Scheduler(Model):
    """Tasks of one configuration of command files, or of none."""

    pid: int | None = None
    mode: Literal["single", "multi"] | None
    config_index: int | None = None
    file: str = Field("", description="The command file; empty: tasks of none.")
    load: str | None = None
    started_at: float | None = Field(None, description="When the first of these tasks was submitted; epoch seconds.")
    queues: list[SchedulerQueue]


class SchedulerState(Model):
    """Whether something of a mode waits or runs."""

    running: bool
    loads: list[Scheduler]


class Stopped(Model):
    """What became of it."""

    pid: int | None
    id: str
    what: Literal["done", "gone", "refused", "unknown"]
    where: str = ""
    reason: str = ""


class BindRequest(Model):
    """Bind a file to a process."""

    path: str = Field(min_length=1, max_length=4096)
    pid: int | str = Field(description=f"{PID} Or a full id.")


class Binding(Model):
    """A file that is bound to a process."""

    pid: int
    id: str
    path: str
    exists: bool
    size: int | None = None
    modified_at: float | None = None
    problem: str = ""


class LogContent(Model):
    """A part of a log."""

    content: str
    offset: int
    next: int
    size: int
    path: str = ""
