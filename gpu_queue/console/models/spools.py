"""The queues below a queue root."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpu_queue.console.models.common import Model, Note
from gpu_queue.console.models.living import Counts


class SpoolEntry(Model):
    """One queue."""

    job: str = Field(examples=["train-exp1"])
    counts: Counts | None = Field(None, description="null: nobody looks at it now, and it was not looked at.")
    agents: int | None = None


class SpoolList(Model):
    """All queues that this console shows."""

    queue_root: str
    default: str | None = Field(description="The one that is meant where none is named; null: it has to be named.")
    spools: list[SpoolEntry]


class Cost(Model):
    """What looking costs."""

    listings_per_s: float = Field(description="Directories listed a second, over the last minute.")
    opens_per_s: float
    streams: int
    resident_bytes: int | None
    refresh_s: float | None = Field(description="How long the last look at a spool took.")
    snapshot_age_s: float | None


class ConsoleInfo(Model):
    """What this console is and may do."""

    version: str
    queue_root: str
    default_job: str | None
    is_read_only: bool
    has_access: bool = Field(description="Whether this request may change things and read logs.")
    needs_token: bool = Field(description="Whether this browser has to show the token for that.")
    log_roots: list[str]
    base_path: str
    user: str
    host: str
    history: bool
    start_agents: bool = Field(
        description="Start of a job file also starts an agent on this machine, where none serves (--start-agents)."
    )
    cost: Cost | None = None


class Action(Model):
    """A change that was made through this console."""

    at_s: float
    who: str
    job: str
    action: str
    summary: Note
    state: Literal["running", "finished"]
    problem: Note | None = Field(None, description="Why it did not come to its end.")
    counts: dict[str, int] = Field({}, description="By what: done, gone, refused, unknown.")
    plan: str = ""
    can_undo: bool = False
