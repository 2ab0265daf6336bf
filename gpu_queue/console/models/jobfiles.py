"""Job files: command files and experiment files that lie in a queue, what they say, and what a load of one does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Words
from gpu_queue.spool.jobfiles import JobMode

Index = Annotated[int, Field(strict=True)] | str
"""From 0; of ``yaml`` the name without the ending."""
TEXT_MAX = 1 << 20
TREE_TASKS_MAX = 2000
"""Of one file: so many tasks are told, the others counted."""

News = Literal["new", "changed", "again", "moved", "retried", "waits", "runs", "done", "failed", "later"]


class FileProblem(Model):
    """What is wrong with a file."""

    line: int = Field(description="Counted from 1; 0: the file as a whole.", examples=[7])
    column: int | None = Field(None, description="Counted from 1, where it is known.")
    code: str = Field(
        description="`parse`: a line; `encoding`, `too_large`, `not_a_file`, `unreadable`, `unread`: the whole file; "
        "`never_runs`: a task of it can never run.",
        examples=["parse"],
    )
    text: str = Field(description="In English.", examples=["expected a number of GPUs, as in 2 or 1-4, found '2x'"])


class TreeTask(Model):
    """A process of a queue: what becomes one task."""

    position: int = Field(description="In the file, from 0.")
    title: str = Field(description="What the task is called.", examples=["command_gpu-1"])
    commands: list[str] = Field(description="In their order; one that fails ends it.")
    gpus: str = Field("", examples=["2", "1-4"])
    memory_gb: float | None = Field(None, description="Of each GPU, in units of 2^30 bytes; null: any.")
    line: int = Field(description="The first line of it, from 1.")
    last_line: int
    bound_log: str = Field("", description="The file that is bound to this place; empty: none.")


class TreeQueue(Model):
    """A queue of a file: its tasks run one after the other."""

    queue: str | None = Field(description="As the file calls it; null: of none, its tasks run side by side.")
    name: str = Field("", description="The serial queue that its tasks get.", examples=["command_gpu-1a2b3c.1"])
    state: Literal["busy", "idle"] = "idle"
    busy_with: str = Field("", description="The key of the task that holds it.")
    busy_title: str = ""
    tasks: list[TreeTask]
    left_out: int = Field(0, description="More tasks than are told.")


class WorkDir(Model):
    """Where commands of a file run."""

    path: str
    source: Literal["asked", "file", "config", "home"] = Field(
        description="`asked`: this request said so; `file`: it was kept beside the file; `config`: the queue's "
        "config.yaml says `work_dir`; `home`: nobody said anything, so the home directory of the console's user."
    )
    text: Words = Field(description="A sentence about it.")
    is_there: bool = Field(description="Whether it is a directory on the console's machine.")


class LoadedCounts(Model):
    """What became of the tasks that were loaded from a file through a console."""

    at_s: float | None = Field(None, description="When it was loaded last.")
    by: str = ""
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0


class JobfileEntry(Model):
    """A job file in the list."""

    mode: JobMode
    index: int | str = Field(description="From 0; of `yaml` the name without the ending.", examples=[0])
    name: str = Field(description="`configuration 1` is index 0; of `yaml` its name.", examples=["configuration 1"])
    file: str = Field(examples=["command_gpu.txt"])
    tasks: int
    queues: int
    problems: list[FileProblem] = Field(description="At most 20.")
    problem_count: int = 0
    size_bytes: int | None = None
    modified_at: float | None = Field(None, description="Epoch seconds.")
    modified_by: str | None = None
    loaded: LoadedCounts | None = Field(None, description="null: never, as far as consoles know.")


class JobfileList(Model):
    """The job files of a queue, and what its console may."""

    files: list[JobfileEntry]
    directory: str = Field(description="Where they lie.")
    left_out: int = Field(0, description="More files than are told.")
    start_agents: bool = Field(
        description="Whether start also starts an agent on the console's machine where none serves (--start-agents)."
    )
    agents: int = Field(description="Agents that serve the queue now.")
    trash: list[Trashed] = Field([], description="Deleted ones that can be restored, the last one first.")


class Trashed(Model):
    """A file that was deleted; it is kept for 30 days."""

    id: str
    mode: JobMode
    index: int | str
    file: str
    deleted_at_s: float
    until_s: float


class Checked(Model):
    """What a text says, or what is wrong with it."""

    problems: list[FileProblem] = Field(description="All of them, at most 101.")
    tree: list[TreeQueue] = Field(description="As far as it could be read.")
    tasks: int
    queues: int
    work_dir: WorkDir


class Jobfile(Checked):
    """A job file."""

    mode: JobMode
    index: int | str
    name: str
    file: str
    path: str
    text: str
    etag: str
    is_text: bool = Field(True, description="False: it holds bytes that are no UTF-8; what is shown cannot be saved.")
    modified_at: float | None = None
    modified_by: str | None = None
    loaded: LoadedCounts | None = None
    batch: str | None = Field(
        None, description="The key of the batch of its tasks; null: it is no command file, or was never loaded."
    )


class CheckRequest(Model):
    """What does this text say?"""

    mode: JobMode
    index: Index | None = Field(None, description="Of the file that it is to be; names of queues come of it.")
    text: str = Field(max_length=TEXT_MAX)
    work_dir: str | None = Field(None, max_length=4096)


class SaveRequest(Model):
    """Save a text."""

    text: str = Field(max_length=TEXT_MAX)
    etag: str | None = Field(
        None, max_length=100, description="Of the text that was changed; null: whatever is there."
    )
    draft: bool = Field(False, strict=True, description="Save it though something is wrong with it.")
    work_dir: str | None = Field(
        None, max_length=4096, description="Keep where its commands run; empty: nowhere said; null: as it is."
    )


class NewRequest(Model):
    """Make a new one: the highest index and one more."""

    mode: JobMode
    name: str | None = Field(None, max_length=200, description="Of `yaml`: without the ending.")
    from_index: Index | None = Field(None, description="Copy this one of the same mode.")
    text: str | None = Field(None, max_length=TEXT_MAX, description="null: a commented example.")


class Saved(Model):
    """It was saved, or made."""

    mode: JobMode
    index: int | str
    file: str
    etag: str
    problems: list[FileProblem] = []
    modified_at: float | None = None


class Deleted(Model):
    """It lies in the trash."""

    mode: JobMode
    index: int | str
    trash: str = Field(description="For restore.")
    until_s: float


class RestoreRequest(Model):
    """Which of several that were deleted."""

    trash: str | None = Field(None, max_length=400, description="null: the last one.")


class LoadRequest(Model):
    """Load a file, or say what that would do."""

    again: bool = Field(False, strict=True, description="Also what was done, runs or has failed is queued once more.")
    work_dir: str | None = Field(None, max_length=4096, description="null: as the file says, see `WorkDir`.")


class LoadTask(Model):
    """What becomes of a task of a file."""

    position: int
    title: str
    queue: str | None
    line: int
    news: News
    key: str = Field("", description="Of the task that it was until now, or is.")


class LoadTaken(Model):
    """A waiting task that is taken out: it is gone from the file, or is queued anew."""

    key: str
    title: str
    is_gone: bool


class PlannedLoad(Model):
    """What loading a file does."""

    mode: JobMode
    index: int | str
    file: str
    etag: str
    again: bool
    pid: int = Field(description="The number of its load: for `POST /api/scheduler/stop/{pid}`.")
    work_dir: WorkDir
    counts: dict[str, int] = Field(description="By news.", examples=[{"new": 6, "waits": 2}])
    queues: int
    tasks: list[LoadTask] = Field(description=f"At most {TREE_TASKS_MAX}.")
    taken: list[LoadTaken] = Field([], description="What is taken out, at most 200.")
    taken_count: int = 0
    gone: int = Field(0, description="Tasks of former versions of the file, which go on or have ended.")
    starts_agent: bool = Field(False, description="Nobody serves the queue, and the console starts an agent.")
    agents: int = 0
    text: Words = Field(description="The plan as a sentence.")
