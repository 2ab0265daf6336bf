"""The paths of the user's own document (`/api/scheduler/*`, `/api/log/*`).

There is no scheduler process here.  ``pid`` is an integer that names a *process*, that is a task: the value of the
six hex digits of its id (``7ad896`` is 8050838); or a *load*, that is all tasks that were made of one configuration:
2^24 and the value of the six hex digits of the load, which also stand in the names of its queues.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from gpu_queue.console.models.common import Model
from gpu_queue.console.models.jobfiles import TEXT_MAX, FileProblem, LoadedCounts, TreeQueue

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

    pid: int | None = Field(None, description="Of the load: 2^24 and the value of `load`; null: tasks of none.")
    mode: Literal["single", "multi"] | None
    config_index: int | None = None
    file: str = Field("", description="The command file; empty: tasks of none.")
    load: str | None = Field(None, description="Six hex digits, the same for all loads of one file.")
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
    tasks: int = Field(1, description="Of a load: so many were meant.")
    counts: dict[str, int] = Field({}, description="Of a load: tasks by what became of them.")
    agent: str = Field("", description="What became of the agent that this console has started; in English.")


class BindRequest(Model):
    """Bind a file to a process."""

    path: str = Field(min_length=1, max_length=4096)
    pid: int | str | None = Field(None, description=f"{PID} Or a full id.")
    mode: Literal["single", "multi", "yaml"] | None = Field(
        None, description="In place of `pid`, with the three below: a place of a configuration, kept for later loads."
    )
    config_index: int | str | None = None
    queue: int | str | None = Field(None, description="As the file calls it; null: none.")
    position: int | None = Field(None, ge=0, le=1_000_000, description="Of the block in the file, from 0.")

    @model_validator(mode="after")
    def _names_one(self) -> BindRequest:
        place = (self.mode, self.config_index, self.position)
        if self.pid is None and None not in place:
            return self
        if self.pid is not None and place == (None, None, None):
            return self
        raise ValueError("expected either pid, or mode, config_index, queue and position")


class Binding(Model):
    """A file that is bound to a process."""

    pid: int | None = Field(description="null: it is bound to a place of a configuration, for later loads.")
    id: str
    mode: Literal["single", "multi", "yaml"] | None = None
    config_index: int | str | None = None
    queue: str | None = None
    position: int | None = None
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


QUEUE_TASKS_MAX = 20_000
"""Of a tree: what has more is told in part, and cannot be written back."""

# -- command files ------------------------------------------------------------------------------------------------


class CommandEntry(Model):
    """A configuration."""

    index: int = Field(description="From 0: `command_gpu.txt`; gaps stay.")
    name: str = Field(examples=["configuration 1"])
    file: str = Field(examples=["command_gpu.txt"])
    tasks: int
    queues: int
    problems: list[FileProblem]
    modified_at: float | None
    load: LoadedCounts | None = Field(None, description="What became of what was loaded; null: nothing was.")


class CommandFile(CommandEntry):
    """A configuration, whole."""

    text: str
    etag: str
    tree: list[TreeQueue]


class ProcessIn(Model):
    """A process of a queue; what `GET` tells besides is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str | None = Field(None, max_length=100_000)
    commands: list[str] | None = Field(None, max_length=1000, description="In place of `command`: several, in order.")
    gpus: int | str | None = Field(None, description="Of mode multi: `2` or `1-4`.")
    memory_gb: float | None = Field(ge=0, le=1_000_000, description="null: any.")

    @model_validator(mode="after")
    def _says_what_runs(self) -> ProcessIn:
        if (self.command is None) == (self.commands is None):
            raise ValueError("expected either command or commands")
        return self


class QueueIn(Model):
    """A queue; what `GET` tells besides is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    queue: int = Field(ge=0, le=999_999_999)
    processes: list[ProcessIn] = Field(max_length=QUEUE_TASKS_MAX)
    left_out: int = Field(0, ge=0, le=0, description="A tree of which something was left out cannot be written back.")

    @model_validator(mode="before")
    @classmethod
    def _as_told(cls, value: object) -> object:
        """What `GET` calls ``tasks``."""
        if isinstance(value, dict) and "processes" not in value and "tasks" in value:
            return {**value, "processes": value["tasks"]}
        return value


class CommandsPut(Model):
    """What a configuration shall say: a text, or its queues."""

    text: str | None = Field(None, max_length=TEXT_MAX)
    queues: list[QueueIn] | None = Field(None, max_length=10_000)
    etag: str | None = Field(
        None, max_length=100, description="Of the text that was changed; none: whatever is there."
    )
    draft: bool = Field(False, strict=True, description="Save it though something is wrong with it.")

    @model_validator(mode="after")
    def _says_one(self) -> CommandsPut:
        if (self.text is None) == (self.queues is None):
            raise ValueError("expected either text or queues")
        return self


class NewCommands(Model):
    """A new configuration."""

    from_: int | None = Field(None, alias="from", ge=0, description="Copy that one.")
    text: str | None = Field(None, max_length=TEXT_MAX)


class Started(Model):
    """A configuration that was loaded."""

    pid: int = Field(
        description="Of its load: 2^24 and the value of `load`; `POST /api/scheduler/stop/{pid}` stops it."
    )
    load: str = Field(description="Six hex digits, which also stand in the names of its queues.")
    mode: Literal["single", "multi"]
    config_index: int
    file: str
    tasks: int = Field(description="That were queued.")
    news: dict[str, int] = Field(description="All tasks of the file, by what is new of them.")
    agents: int = Field(description="Agents that serve the queue; 0: the tasks wait.")
    agent: str = Field("", description="What became of starting one; in English. Empty: none was to be started.")
    ids: list[str] = Field([], description="Of the tasks that were queued; at most 200.")


class LoadStopped(Model):
    """A load that was stopped."""

    pid: int
    load: str
    mode: Literal["single", "multi", "yaml"]
    config_index: int | None
    file: str
    tasks: int = Field(description="That waited or ran.")


class LoadsStopped(Model):
    """What became of the loads of a mode."""

    stopped: int = Field(description="Tasks that were cancelled or stopped.")
    counts: dict[str, int] = Field(description="Tasks by what became of them: done, gone, refused, unknown.")
    loads: list[LoadStopped]
    outcomes: list[Stopped] = Field(description="Of each task; at most 400.")
    agent: str = Field("", description="What became of the agent that the console started; in English.")
    problem: str = ""
