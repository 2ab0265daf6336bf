"""Tasks: rows of a list, and one of them in full."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Note, TaskState, WhyWaits

LIMIT_MAX = 500
GROUPS_MAX = 1000
ENDED_MAX_S = 3650 * 86400

StateFilter = Literal["now", "waiting", "running", "done", "failed", "all"]
Sort = Literal["run", "newest", "oldest", "title", "priority"]


class TaskFilter(Model):
    """Which tasks are meant."""

    state: StateFilter = Field("now", description="`now`: what waits or runs.")
    q: str = Field(
        "",
        max_length=500,
        description="Words that title or id hold, and "
        "`queue:car`, `node:gpu1`, `is:failed`, `why:oom`, `user:bo`, `ended:8h`.",
    )
    queue: str = Field("", max_length=200)
    node: str = Field("", max_length=300)
    user: str = Field("", max_length=200)
    why: str = Field(
        "", max_length=100, description="The code of why it waits, or how it failed: an error type, else its outcome."
    )
    ended_within_s: int = Field(0, ge=0, le=ENDED_MAX_S, description="Ended in the last so many seconds; 0: any.")
    experiment: str = Field("", max_length=500, description="The group of an experiment file.")
    batch: str = Field("", max_length=5000, description="A job file, as `S/groups?by=batch` names it.")
    without: Literal["", "queue", "batch", "experiment"] = Field("", description="Those that are of none of these.")


class TaskRow(Model):
    """A task in a list.  What its record holds is null where it could not be read."""

    key: str = Field(description="Its id; of a hand drop its name in pending/.")
    has_id: bool
    short: str = Field(description="Its six digits; empty where it has none.", examples=["7ad896"])
    title: str
    state: TaskState
    priority: int
    place: int | None = Field(None, description="In the run order, from 0.")
    gpus: str = Field(
        "", description="How many it asks for: `2`, `1-4`, `2x8` (on 2 nodes 8 each); empty: not known."
    )
    memory_bytes: int | None = None
    queue: str | None = None
    user: str | None = None
    tries: int | None = None
    node: str = ""
    gpu_keys: list[str] = Field([], description="`<node>/<uuid>` of those that it has.")
    gpu_indices: list[int] = []
    submitted_at_s: float | None = None
    started_at_s: float | None = None
    ended_at_s: float | None = None
    limit_s: float | None = None
    outcome: str = Field("", description="Of an ended one: done, failed(1), stopped, timeout …; else its stage.")
    status: int | None = None
    error_type: str = ""
    why: list[WhyWaits] = []


class Facet(Model):
    """A value that tasks can be filtered by."""

    value: str
    count: int | None = None


class TaskPage(Model):
    """A window of a list of tasks."""

    offset: int
    limit: int
    total: int
    version: str = Field(description="Another one: the list has changed.")
    items: list[TaskRow]
    queues: list[Facet] = []
    nodes: list[Facet] = []
    users: list[Facet] = Field([], description="As far as records were read.")
    whys: list[Facet] = Field([], description="Why the first thousand wait, and how the last ones failed.")
    is_partial: bool = Field(False, description="The filter looked into records, and had not time for all.")
    looked_at: int = Field(0, description="How many tasks a filter that reads records has looked at.")


class GroupCounts(Model):
    """How many tasks of a group are in each state."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0


class TaskGroup(Model):
    """Tasks that have something in common."""

    name: str = Field(description="What a filter by `queue`, `batch` or `experiment` calls it; empty: of none.")
    title: str
    mode: str = Field("", description="Of a job file: `single` or `multi`.")
    config_index: int | None = Field(None, description="Of a job file: its number, from 0.")
    counts: GroupCounts
    is_busy: bool
    first: str = Field(description="The key of the first of them in run order.")


class GroupPage(Model):
    """The groups of the tasks that a filter means."""

    groups: list[TaskGroup] = Field(description=f"At most {GROUPS_MAX}.")
    total: int = Field(description="How many groups there are.")
    tasks: int = Field(description="How many tasks the filter means.")
    unread: int = Field(0, description="So many of them were not read yet, and count nowhere: ask again.")
    version: str


class Need(Model):
    """One thing that a task asks for, and where that is said."""

    name: Literal[
        "gpus",
        "nodes",
        "devices",
        "memory",
        "queue",
        "time",
        "retries",
        "signal",
        "notify",
        "snapshot",
        "after",
        "name",
        "array",
        "priority",
        "cwd",
    ]
    value: str
    source: str = Field(
        description="For people: `#GPUQ`, `#SBATCH`, `gpu_submit`, `torchrun`, `default` …; `given`: here."
    )
    line: int | None = Field(None, description="Of the script, from 1; null: it does not stand there.")


class GpuUse(Model):
    """How much of one GPU a try used."""

    uuid: str
    samples: int
    memory_peak_bytes: int | None = None
    memory_mean_bytes: int | None = None
    utilization_peak_percent: int | None = None
    utilization_mean_percent: int | None = None


class Try(Model):
    """One try."""

    number: int
    token: str
    node: str = ""
    gpu_indices: list[int] = []
    gpus: list[str] = Field([], description="UUIDs.")
    started_at_s: float | None = None
    ended_at_s: float | None = None
    duration_s: float | None = None
    status: int | None = None
    why: str = ""
    outcome: str = ""
    error_type: str = ""
    reason: str = ""
    problem: str = ""
    settled_by: str = ""
    usage: list[GpuUse] = []


class LogSource(Model):
    """A log of a task."""

    source: str = Field(description="What the addresses of logs name it by: the token of a try, or `bound`.")
    kind: Literal["try", "bound"]
    title: str = Field(description="`try 2`, or the path of a bound file.")
    size_bytes: int | None
    number: int | None = None


class Code(Model):
    """The code that a task was submitted with."""

    commit: str = Field("", description="Of the working tree; empty: not known.")
    is_dirty: bool = Field(False, description="It was something else than that commit.")
    snapshot: str = Field("", description="The key of the snapshot in a copy of which it runs; empty: none.")
    root: str = Field("", description="The tree of which that is.")


class TaskDetail(Model):
    """All that is known of one task."""

    row: TaskRow
    cwd: str = ""
    script_path: str = Field("", description="Where it came from; empty: it was no file.")
    path: str = Field(description="Its script in the queue.")
    host: str = ""
    arguments: list[str] = []
    needs: list[Need]
    after: list[TaskRow] = Field([], description="What it waits for; at most 100.")
    tries: list[Try]
    logs: list[LogSource]
    record: dict[str, object] = Field(description="Its record, as it stands there.")
    array: str = ""
    experiment: str = ""
    code: Code | None = Field(None, description="null: not known.")
    problems: list[Note] = []


class ScriptText(Model):
    """A script."""

    text: str
    size_bytes: int
    is_cut: bool
    language: Literal["bash", "python", "other"]
