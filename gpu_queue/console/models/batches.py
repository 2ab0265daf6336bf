"""Batches: the tasks of one command file, or of one group of experiment files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model

RUNS_MAX = 5000
BATCHES_MAX = 500

Kind = Literal["experiment", "commands"]
Phase = Literal["done", "failed", "cancelled", "running", "waiting"]


class BatchCounts(Model):
    """How many runs, of each the task that counts: the last one that was queued and not cancelled."""

    done: int = 0
    failed: int = 0
    cancelled: int = Field(0, description="Taken out of the queue, or stopped, by a person.")
    running: int = 0
    waiting: int = 0


class BatchSummary(Model):
    """One batch."""

    key: str = Field(examples=["3f9a1c0b7d42"])
    kind: Kind
    name: str = Field(description="Of the group, or of the command file.", examples=["lr-sweep"])
    files: list[str] = Field(description="That its tasks were loaded from.")
    counts: BatchCounts
    runs: int
    first_at_s: float | None = Field(description="When the first of its tasks was submitted.")
    last_at_s: float | None = Field(description="When the last one was.")
    user: str = Field("", description="Who submitted the last one.")


class BatchList(Model):
    """The batches of a queue, the one that was loaded last first."""

    batches: list[BatchSummary]
    unread: int = Field(description="Tasks whose records were not read yet: ask again.")


class BatchPlace(Model):
    """Where a task stands in its batch."""

    batch: BatchSummary | None = Field(description="null: it is of none, or that is not known yet.")
    number: int | None = Field(None, description="Of its run, from 1.", examples=[31])
    is_superseded: bool = Field(False, description="The same run was queued again since.")
    unread: int = 0


class BatchRun(Model):
    """One run, with the columns of `gpu-queue report`; null and empty: not known."""

    key: str = Field(description="Of its task.")
    short: str
    name: str
    job: str
    group: str = ""
    params: list[str] = Field(description="Values of its matrix, in the order of `params` of the batch.")
    state: Phase
    outcome: str = ""
    error_type: str = ""
    reason: str = ""
    tries: int = 0
    unknown_tries: int = 0
    submitted_at_s: float | None = None
    started_at_s: float | None = None
    ended_at_s: float | None = None
    waited_s: float | None = None
    between_s: float | None = None
    ran_s: float | None = Field(None, description="All tries.")
    last_ran_s: float | None = None
    gpus: int | None = None
    gpu_s: float | None = None
    memory_asked_bytes: int | None = None
    memory_peak_bytes: int | None = None
    memory: Literal["", "far less", "more"] = Field(
        "", description="Of what it asked for, where that is worth a word."
    )
    utilization_percent: float | None = None
    node: str = ""
    queue: str = ""


class BatchSum(Model):
    """All runs together."""

    tries: int
    unknown_tries: int
    gpu_s: float | None
    first_started_at_s: float | None
    last_ended_at_s: float | None = Field(description="null also where not all have ended.")
    wall_s: float | None
    waited_mean_s: float | None
    utilization_percent: float | None
    failed_tries: dict[str, int] = Field(description="By error type.")
    failed_runs: dict[str, int]
    earlier_tasks: int = Field(description="Of the same runs, queued before, that began: not counted here.")
    earlier_gpu_s: float | None


class Expected(Model):
    """When it will have ended, by what its like has taken."""

    until_at_s: float
    is_least: bool = Field(description="Of some nobody knows how long they take.")


class BatchDetail(Model):
    """One batch in full."""

    batch: BatchSummary
    now_s: float = Field(description="By the clock that all moments here are told by.")
    params: list[str] = Field(description="Keys of its matrix; `command` of a command file.")
    runs: list[BatchRun]
    is_cut: bool = Field(False, description=f"There are more than {RUNS_MAX}.")
    sum: BatchSum
    expected: Expected | None = Field(description="null: all has ended, or nobody can tell that honestly.")
    notes: list[str] = Field([], description="What to know of the figures; in English.")
    unread: int = Field(0, description="Tasks of which only the state is known yet: ask again.")
