"""The living part of a spool: small, bounded, and sent as it changes.

It is one document of maps keyed by what they hold.  A change of it is a JSON merge patch (RFC 7396).  Nothing in it
changes only because time passes: readers count ages on by ``now_s`` of what they got last.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Param, WhyWaits, Words

GPUS_MAX = 1024
RUNNING_MAX = 500
WAITING_MAX = 100
ENDED_MAX = 50
ATTENTION_MAX = 100
RECENT_S = 120.0

Use = Literal["task", "keepalive", "idle", "foreign", "lost", "unknown"]


class Flag(Model):
    """A state as a file: ``paused``, ``draining``, ``keepalive-off``."""

    by: str = Field(description="Who and why, in their own words; empty where nothing can be read.")


class Counts(Model):
    """How many tasks are in each state; null: that directory could never be listed."""

    waiting: int | None = None
    running: int | None = None
    done: int | None = None
    failed: int | None = None


class KeepAlive(Model):
    """What the keep-alive does with a GPU."""

    state: str = Field(examples=["holding"])
    reason: str = ""
    duty: float | None = Field(None, description="The share of time in which it is to work, 0 to 1.")
    held_bytes: int = 0
    off_by: str = Field("", description="people, settings, or empty: it is on.")


class Gpu(Model):
    """One GPU that is served; what cannot be read is null."""

    node: str
    uuid: str
    index: int
    name: str = Field(examples=["NVIDIA H100 80GB HBM3"])
    state: str = Field(description="idle, busy, foreign, lost or unknown, as its node tells.")
    use: Use
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_percent: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: int | None = None
    problem: str = ""
    keepalive: KeepAlive | None = None
    kept_by: str = Field("", description="On a shared server: what keeps it from tasks; a word of docs/spool.md.")
    running: list[str] = Field(description="Keys of `running`: several tasks may share it.")


class Watched(Model):
    """A silent node, as another node watches it."""

    by: str
    tries: int
    left_s: float = Field(description="Until the first of them is taken over, when its watcher wrote that.")
    told_at_s: float | None = None


class Node(Model):
    """A node."""

    title: str
    presence: Literal["alive", "silent", "stopped", "gone", "unknown"]
    state: str = Field(description="serving, paused, draining, leaving, stopped or unknown.")
    why: WhyWaits | None = Field(None, description="Why it takes nothing.")
    mode: str = Field("", description="dedicated, shared, or empty: nobody knows.")
    version: str = ""
    host: str = ""
    pid: int | None = None
    allocation: str = Field("", description="The cluster's job in which its agent runs, `<way>:<id>`.")
    devices: str = ""
    started_at_s: float | None = None
    ends_at_s: float | None = Field(None, description="null: never, or nobody knows.")
    at_end: str = Field("", description="What becomes of running tasks then: wait or stop.")
    written_at_s: float | None = Field(None, description="When its file was written.")
    silent_s: float = Field(0.0, description="Of a silent one: for how long, in whole minutes or hours.")
    is_seen: bool = Field(False, description="Somebody is being shown its numbers as they change: it saw `watched`.")
    waiting_count: int = 0
    skipped: int = Field(0, description="Files in pending/ that are never run.")
    gpus: list[str] = Field(description="Keys of `gpus`, by index.")
    problems: list[str] = []
    watched_by: list[Watched] = []


class Running(Model):
    """A try that runs, by the name of its claim."""

    key: str = Field(description="The id of the task.")
    title: str
    node: str
    number: int = Field(description="Of the try, from 1.")
    token: str
    priority: int
    gpus: list[str] = Field(description="Keys of `gpus`.")
    stage: str = Field("", description="starting, clearing, running, warned, ending, settling; empty: nobody tells.")
    started_at_s: float | None = None
    limit_s: float | None = Field(None, description="Its --time.")
    ending: str = Field("", description="Why it is being ended.")
    queue: str = ""
    ended: str = Field("", description="How its try has ended, where it has and nobody moved it on yet: `1`, `0`.")


class Waiting(Model):
    """A task that waits, by its key."""

    key: str
    has_id: bool = Field(description="False: a hand drop, which no agent has taken yet; it cannot be stopped by id.")
    title: str
    priority: int
    gpus: str = Field("", description="How many it asks for: `2`, `1-4`; empty: nobody read it yet.")
    queue: str = ""
    submitted_at_s: float | None = None
    tries: int = 0
    why: list[WhyWaits]


class Ended(Model):
    """A task that ended, by its id."""

    key: str
    title: str
    state: Literal["done", "failed"]
    outcome: str = Field(description="As the history tells it: done, failed(1), stopped, timeout …")
    status: int | None = None
    error_type: str = ""
    node: str = ""
    gpus: list[str] = []
    ended_at_s: float | None = None


class Queue(Model):
    """A serial queue."""

    is_busy: bool
    holders: list[str]
    pending: int | None = None
    running: int | None = None
    done: int | None = None
    failed: int | None = None
    failures: int = 0
    rests_until_s: float | None = None


class Attention(Model):
    """Something that a person should look at."""

    code: Literal[
        "gpu_lost",
        "gpu_idle_under_task",
        "node_silent",
        "node_ends_before_tasks",
        "node_problem",
        "draining",
        "paused",
        "keepalive_off",
        "keepalive_failed",
        "files_skipped",
        "spool_problem",
        "no_agent",
        "old_agents",
    ]
    severity: Literal["trouble", "notice"]
    node: str = ""
    gpu: str = Field("", description="A key of `gpus`.")
    task: str = Field("", description="The key of a task.")
    params: dict[str, Param] = {}
    text: Words
    since_at_s: float | None = None


class Versions(Model):
    """How often each part has changed: lists are fetched again when theirs moves."""

    waiting: int
    running: int
    done: int
    failed: int
    nodes: int
    queues: int
    events: int


class Storage(Model):
    """Whether the shared directory answers."""

    silent_since_s: float | None = Field(None, description="Epoch seconds by the console's clock; null: it answers.")
    waits_for: str = Field("", description="What it was asked for.")
    seen_at_s: float | None = Field(None, description="When what is shown was seen; null: nothing was seen yet.")


class Band(Model):
    """Where the keep-alive holds the utilisation, in percent."""

    low: float
    high: float


class Living(Model):
    """The living part of a spool."""

    job: str
    path: str
    is_made: bool = Field(description="False: there is no such queue yet; the first submission makes it.")
    band: Band
    flags: dict[str, Flag]
    counts: Counts
    nodes: dict[str, Node]
    gpus: dict[str, Gpu] = Field(description=f"By `<node>/<uuid>`; at most {GPUS_MAX}.")
    running: dict[str, Running] = Field(description=f"By the claim's name; at most {RUNNING_MAX}.")
    waiting: dict[str, Waiting]
    waiting_order: list[str] = Field(description=f"Keys of the first {WAITING_MAX} that wait, in run order.")
    ended: dict[str, Ended]
    ended_order: list[str] = Field(description=f"Ids of the last {ENDED_MAX} that ended, the newest first.")
    queues: dict[str, Queue]
    attention: dict[str, Attention]
    problems: list[str] = Field(description="What is not known, or old.")
    cut: list[str] = Field(description="Parts that hold less than there is.")
    storage: Storage
    versions: Versions


class Sample(Model):
    """The utilisation of a GPU at a moment."""

    at_s: float
    percent: int | None = None


class Snapshot(Model):
    """The event ``snapshot``, and the reply of ``S/snapshot``."""

    id: str = Field(description="`<epoch>-<n>`: names this state in `Last-Event-ID` and `?after=`.")
    now_s: float = Field(description="The file server's clock as this was made.")
    living: Living
    recent: dict[str, list[Sample]] = Field(
        description=f"Utilisation of each GPU in the last {RECENT_S:.0f} s; deltas continue it."
    )


class Delta(Model):
    """The event ``delta``."""

    id: str
    now_s: float
    patch: dict[str, object] = Field(description="A JSON merge patch (RFC 7396) of `living`.")


class StreamNote(Model):
    """The event ``note``: how far a plan is, what an agent answered."""

    plan: str = ""
    done: int = 0
    total: int = 0
    node: str = ""
    reply: str = ""
    lines: list[str] = []
