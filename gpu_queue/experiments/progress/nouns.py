"""The nouns of progress: what is known of a run's task, of the agent, of all runs, what happened.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from gpu_queue.experiments.specs.nouns import Run
from gpu_queue.reasons import Reason
from gpu_queue.states import AgentState
from gpu_queue.task import State

# -- what whoever looks at the spool fills in ------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """What is known of the task of a run at one moment."""

    task_id: str = ""
    """Empty: none is queued, or it is not known yet."""
    state: State | None = None
    """None: it is in no directory, by more than one look."""
    place: int = 0
    """Of one that waits: smaller ones come first; of equal ones the order of the file tells."""
    tries: int = 0
    """Of one that runs: which try it is, counted from 1; of any other: how many were made."""
    failures: int = 0
    """Tries that failed by themselves since it was last queued."""
    node: str = ""
    """Where it runs, or ran last."""
    gpus: tuple[int, ...] | None = None
    """Indices of those that it has, or had; None: nobody tells."""
    token: str = ""
    """Of the claim of one that runs: two tries of one number are two."""
    since: float | None = None
    """Since when it runs, epoch seconds by our clock; None: nobody tells."""
    limit_s: float | None = None
    """After so long it is ended."""
    stage: str = ""
    """As its node's page says: ``starting``, ``running``, ``ending`` …"""
    reason: Reason | None = None
    """Why one that waits does; None: nobody tells."""
    outcome: str = ""
    """Of the last try that ended, as records have it: ``failed(1)``, ``stopped`` …; empty: none has."""
    error_type: str = ""
    """Of the same."""
    problem: str = ""
    """What else is known of why it ended so, for people."""
    ran_s: float | None = None
    """How long the last try that ended took."""
    gpu_s: float | None = None
    """Seconds on GPUs, of all its tries, times their number; None: not known."""
    log: str = ""
    """Path of its last try's log in the spool, which is read where it has failed; empty: there is none."""
    link: str = ""
    """Path by which its user finds it; empty: that in the spool."""


@dataclass(frozen=True)
class Agent:
    """What is known of the agent that serves the spool."""

    state: AgentState | None = None
    """As its page says; None: it is not up yet, or is gone."""
    node: str = ""
    said: str = ""
    """What to know of it as it is, in a sentence: who paused it and why, that it is silent."""
    starts: int = 1
    """How often it was started since we began; another one than before is told."""
    ended: str = ""
    """Why the one before it has ended."""


@dataclass(frozen=True)
class Queue:
    """The spool, for the commands that a person types."""

    root: str
    job_id: str
    is_set: bool = False
    """JOB_ID and QUEUE_ROOT in our user's shell mean it already."""
    logs: tuple[str, ...] = ()
    """The directories in which logs lie, as their user finds them."""


# -- what is made of it ----------------------------------------------------------------------------------------------


class Phase(str, Enum):
    """Where a run is, for people."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"  # a person took it out, or stopped it
    RUNNING = "running"
    WAITING = "waiting"


@dataclass(frozen=True)
class Item:
    """A run, and how it stands."""

    run: Run
    standing: Standing
    phase: Phase


@dataclass(frozen=True)
class Counts:
    """How many runs are in each phase."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def all(self) -> int:
        """Of all phases."""
        return self.ended + self.running + self.waiting

    @property
    def ended(self) -> int:
        """That are settled."""
        return self.done + self.failed + self.cancelled


@dataclass(frozen=True)
class Rest:
    """How long something still takes, by what its like has taken."""

    until: float
    """Epoch seconds."""
    is_least: bool = False
    """There are some of which nobody knows how long they take."""


@dataclass(frozen=True)
class Pace:
    """How many run at once: the most of late, since between an end and the next start there is one less."""

    runs: int = 0
    seen_at: float = 0.0
    """When that many ran for the last time."""


@dataclass(frozen=True)
class Group:
    """The runs that are reported together."""

    name: str
    counts: Counts
    earlier: int = 0
    """Of those done: so many were before we began."""
    began_at: float | None = None
    """When the first of its runs that we saw began; None: none has."""
    ended_at: float | None = None
    """When it was seen first that all of it has ended; None: it goes on."""
    rest: Rest | None = None
    """None: nobody can tell that honestly."""


@dataclass(frozen=True)
class Progress:
    """How far a file's runs are, at one moment."""

    now: float
    """Epoch seconds."""
    began: float
    """When we began to look."""
    items: tuple[Item, ...]
    """In the order of the file."""
    groups: tuple[Group, ...]
    """In the order of the file."""
    running: tuple[Item, ...]
    """As long as they run, the longest first."""
    waiting: tuple[Item, ...]
    """In the order of the file."""
    agent: Agent = Agent()
    earlier: frozenset[str] = frozenset()
    """Names of runs that were done before we began."""
    rest: Rest | None = None
    """Of all of it; None: nobody can tell that honestly."""
    pace: Pace = Pace()

    @property
    def counts(self) -> Counts:
        """Of all groups."""
        each = [group.counts for group in self.groups]
        return Counts(
            sum(one.done for one in each),
            sum(one.failed for one in each),
            sum(one.cancelled for one in each),
            sum(one.running for one in each),
            sum(one.waiting for one in each),
        )

    @property
    def is_over(self) -> bool:
        """Whether all has ended."""
        return self.counts.ended == len(self.items)

    @property
    def failed(self) -> Iterator[Item]:
        """What has failed, or was cancelled, in the order of the file."""
        return (one for one in self.items if one.phase in (Phase.FAILED, Phase.CANCELLED))


class Happened(str, Enum):
    """What a person wants to hear of at once."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETRIED = "retried"  # a try failed, and there will be another
    REQUEUED = "requeued"  # a try ended, and not by its own fault
    QUEUED = "queued"  # what had ended waits again
    GONE = "gone"  # its task is nowhere any more
    AGENT = "agent"  # the agent was started again


@dataclass(frozen=True)
class Event:
    """Something that happened between two looks."""

    what: Happened
    at: float
    """When it was seen, epoch seconds."""
    item: Item | None = None
    """The run, as it stands now; None: it concerns the agent."""
    before: Standing | None = field(default=None, compare=False)
    """The run's, at the look before."""
    said: str = ""
    """Of the agent: why the one before it has ended."""
