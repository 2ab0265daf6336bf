"""The nouns: what a task is, what it needs, one try of it, and how a try may end.

- A *task* is one script; its id never changes.  A *try* is one execution of it.  A *claim* is the right to
  run a try: the presence of its file in a node's running directory.
- How a try ended is data: a status and, where somebody ended it on purpose, a *why*.
- ``settle`` is the only table of what follows from an end.  Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from gpu_queue.code.noun import Code
from gpu_queue.reasons import Reason
from gpu_queue.signals import Signal

DEFAULT_PRIORITY = 500
"""Smaller runs first; names carry three digits, 000-999."""
SLURM_HIGHEST = 67_108_863
"""The highest number that Slurm gives to a job (MaxJobId)."""
_JOB_NUMBERS_END = 2**31


class State(str, Enum):
    """Where a task is: the directory that holds its file."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Why(str, Enum):
    """Why a try was ended, when it did not simply end by itself."""

    REQUEUE = "requeue"  # the node was taken back, or the agent is leaving
    STOPPED = "stopped"  # a person asked
    TIMEOUT = "timeout"  # its own --time ran out
    FENCED = "fenced"  # the shim could not reach the storage for too long
    LOST = "lost"  # its claim vanished, or its shim died
    NOSTART = "nostart"  # this node could not start it: nothing of the script ran
    AGAIN = "again"  # its script has asked to be run again
    SAVED = "saved"  # told to leave by its signal or TERM, it ended well: it has saved, and is not finished

    @classmethod
    def read(cls, word: str) -> Why:
        """The why that a word means; one that this version does not know was on purpose too: *requeue*."""
        return cls(word) if word in {one.value for one in cls} else cls.REQUEUE


@dataclass(frozen=True)
class Claim:
    """The right to run one try: what a name in ``running/<node>/`` says."""

    priority: int
    task_id: str
    number: int
    """Which try, counted from 1; for people, best effort."""
    token: str
    """Six random hex digits that make the name unrepeatable."""


@dataclass(frozen=True)
class End:
    """How a try ended."""

    status: int
    """Exit status; 128 + signal where a signal ended it; 255 where nobody knows."""
    why: Why | None = None


@dataclass(frozen=True)
class RankEnd:
    """By which rank a task over several nodes comes to its end, and how that one ended, or is going to."""

    rank: int
    end: End


GIVEN_UP = End(255, Why.FENCED)
"""How the claim of a rank ends for which nobody waits any longer: its shim may live, and finds out by that."""
WITHDRAWN = End(255, Why.REQUEUE)
"""How an offer ends, and the claim of a rank that never began."""


class ErrorType(str, Enum):
    """What kind of failure ended a try; a script may use a word of its own (:func:`error_word`)."""

    OOM = "oom"  # memory, of a GPU or of the host
    RUNTIME_ERROR = "runtime_error"  # Python's RuntimeError and its kind
    TIMEOUT = "timeout"  # its --time, timeout(1), or a collective operation that waited for others
    SIGNAL = "signal"
    NODE_LOST = "node_lost"
    UNKNOWN = "unknown"


_ERROR_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,40}", re.ASCII)


def error_word(said: object) -> str:
    """An error type that somebody else wrote, as it is shown: a short word; what is none is ``unknown``."""
    is_word = isinstance(said, str) and _ERROR_WORD.fullmatch(said) is not None
    return str(said) if is_word else ErrorType.UNKNOWN.value


@dataclass(frozen=True)
class Abnormal:
    """A script's own word that its try has failed, whatever its status (``abnormal_exit`` in uni_id.json)."""

    error_type: str = ""
    """As the script wrote it; empty: it wrote none, and its log is asked."""


@dataclass(frozen=True)
class Needs:
    """What a task asks for."""

    gpus_min: int = 1
    gpus_max: int = 1
    devices: tuple[int, ...] = ()
    """Indices that the script itself names by CUDA_VISIBLE_DEVICES; empty: any."""
    memory_bytes: int | None = None
    """Memory that each of its GPUs must have."""
    queue: str | None = None
    time_s: float | None = None
    """After so long it is ended."""
    time_is_limit: bool = False
    """The time is another scheduler's limit (``#SBATCH --time``), and no promise to need as much."""
    retries: int | None = None
    after: tuple[str, ...] = ()
    """Ids of tasks that must be done first."""
    nodes: int = 1
    """On so many nodes at once its script is started; the GPUs are those of each."""
    signal: Signal | None = None
    """By which it is told that its end is near."""
    notify: tuple[str, ...] = ()
    """Who is told of its end, as :mod:`gpu_queue.notices` spells it: ``ops:failed``."""
    reason: str = "default"
    """Where the number of GPUs comes from, for people."""

    @property
    def gpus_asked(self) -> str:
        """How many GPUs, for people: ``2``, ``1-4``; ``2x8``: on two nodes eight each."""
        count = str(self.gpus_min) if self.gpus_min == self.gpus_max else f"{self.gpus_min}-{self.gpus_max}"
        return count if self.nodes == 1 else f"{self.nodes}x{count}"


@dataclass(frozen=True)
class ArrayPart:
    """Which task of an array it is; what all have in common each of them says."""

    job: str
    """The id of the first task, by which the array is known."""
    index: int
    min: int
    max: int
    step: int = 1
    count: int = 1
    """How many tasks it has."""
    limit: int = 0
    """How many of them may run at once; 0: all."""


@dataclass(frozen=True)
class BatchPart:
    """Which block of a command file a task was made of."""

    file: str
    """Its path, without links."""
    mode: str
    """``single`` or ``multi``."""
    index: int
    """Of the configuration: 1 of ``command_gpu_1.txt``; 0 of one without a number."""
    position: int
    """Of the block in the file, counted from 0."""
    content: str = ""
    """A hash of all that makes the task, by which a block is known when its file is loaded again."""


@dataclass(frozen=True)
class ExperimentPart:
    """Which run of an experiment file a task was made of."""

    file: str
    """Its path, without links."""
    group: str
    """What it is reported with."""
    job: str
    """The key in the file's ``jobs``."""
    name: str
    """Of the run."""
    content: str
    """A hash of all that makes its result, by which a run is known when its file is loaded again."""
    log: str = ""
    """The path of the link to its log that was made for its user; empty: none."""
    params: tuple[tuple[str, str], ...] = ()
    """Values of its matrix, as they are written."""


@dataclass(frozen=True)
class Submission:
    """What the submitter said; every field but the id may be empty."""

    task_id: str
    name: str = ""
    path: str = ""
    cwd: str = ""
    needs: dict[str, Any] = field(default_factory=dict)
    """As it was given to ``gpu_submit``: texts in the notation of ``#GPUQ``; ``after`` is a list of ids."""
    user: str = ""
    host: str = ""
    submitted_at: str = ""
    """UTC, by the submitter's clock, for people."""
    dropped_as: str = ""
    """The name that a hand drop had in pending/."""
    arguments: tuple[str, ...] = ()
    """What the script finds as ``$1`` and so on."""
    array: ArrayPart | None = None
    batch: BatchPart | None = None
    experiment: ExperimentPart | None = None
    code: Code | None = None
    """What it was submitted with; None: nobody knows."""
    problem: str = ""
    """Why the record could not be used, if it was there; the task then runs by what its script says."""


@dataclass(frozen=True)
class Waiting:
    """A file in pending/, as far as it was read."""

    name: str
    """The file's name as it stands there."""
    key: str
    """Run order: ``PPP-<stamp>…`` of a full name; a hand drop's is made from when it came."""
    priority: int
    task_id: str | None
    """None for a hand drop: the claimer gives it one."""
    is_read: bool = False
    """Whether script and record were looked at: needs, or a refusal, are known."""
    needs: Needs = field(default_factory=Needs)
    submission: Submission | None = None
    """Its record, which never changes; None for a hand drop."""
    title: str = ""
    """As its submitter called it, where its id cannot carry that; for people."""
    refusal: str = ""
    """Why it can never run: whoever claims it moves it to failed/ with this reason."""
    unready: Reason | None = None
    """Why it cannot be claimed yet: it is being written, or was never meant to run (a directory)."""
    tries: int = 0
    """Tries that were made before."""
    failures: int = 0
    """Failed tries since it was last settled: it waits for its backoff."""
    has_just_failed: bool = False
    """Nothing came after the last of them: a try that was requeued since has had its rest before it."""
    error_type: str = ""
    """Of the last of them."""
    hurries: int = 0
    """How often in a row it has asked to be run again as soon as it began."""
    entered_at: float = 0.0
    """When it came (back) to pending/, in the server's time; only known where it was tried before."""
    changed_ns: int = 0
    """The file's ctime when it was read: what another node claims and gives back gets another one.  0: unread."""
    upstream: tuple[tuple[str, State | None], ...] = ()
    """Where each task of ``needs.after`` is; None: nowhere."""


@dataclass(frozen=True)
class TryResult:
    """One earlier try of a task, as its index of tries tells."""

    number: int
    token: str
    end: End
    final: bool
    """The task was settled by this try; what came later began anew."""
    node: str = ""
    """Where it ran."""
    ended_at: str = ""
    """When that was written down, for people."""
    reason: str = ""
    """What is known of how it came to be lost, for people."""
    error_type: str = ""
    """An :class:`ErrorType`, or a script's own word; empty where it did not fail."""
    failures: int = 0
    """How many failures the round had with this one, as far as its writer knew: the index forgets old tries."""

    @property
    def is_failure(self) -> bool:
        """Whether it failed by itself, and counts against the retries."""
        return self.end.why is None


@dataclass(frozen=True)
class RetryLimits:
    """How often what is tried again."""

    retries: int | None = 0
    """Tries after a failure of the script's own; None: as often as it takes."""
    max_lost: int = 3
    """Tries lost with their shim or node before the task is given up."""
    max_nostart: int = 3
    """Starts that no node managed before the task is given up."""
    max_again: int = 100
    """How often within a day it is run again because it asked for that, or had saved."""
    is_most: bool = False
    """A task's own ``--retries`` can only lower that; else it stands in its place."""
    rest_every: int = 0
    """After each so many failures the task rests, which the reason tells; 0: it does not."""
    rest: str = ""
    """How long, for people."""

    def of_task(self, own: int | None) -> RetryLimits:
        """The limits of a task that says itself how often it is tried again; None: it says nothing."""
        if own is None or (self.is_most and self.retries is not None and self.retries <= own):
            return self
        return replace(self, retries=own)


@dataclass(frozen=True)
class Settlement:
    """Where a task goes when a try has ended."""

    to: State
    outcome: str
    """For people and records: succeeded, failed(1), stopped, timeout, requeued, lost …"""
    reason: str = field(default="", compare=False)
    failures: int = 0
    """Of this round, this one included; what :attr:`TryResult.failures` holds."""


_FULL = re.compile(r"(?:\d{3}-)?\d{8}T\d{9}-([0-9a-f]{6})-(.+)", re.ASCII)


def short_name(name: str, title: str = "") -> str:
    """A task as people call it: ``train.sh (4f0c2a)``; a hand drop's name as it is.

    Args:
        name: its id or its full name.
        title: as its submitter called it, where the id cannot carry that.
    """
    full = _FULL.fullmatch(name)
    return f"{title or full[2]} ({full[1]})" if full else name


def job_number(task_id: str) -> int:
    """The number by which a script knows its job: above Slurm's highest, below 2**31.  client.sh draws it as well."""
    drawn = int.from_bytes(hashlib.sha256(task_id.encode("utf-8", "surrogateescape")).digest()[:8], "big")
    return SLURM_HIGHEST + 1 + drawn % (_JOB_NUMBERS_END - SLURM_HIGHEST - 1)


def story_of(tries: tuple[TryResult, ...]) -> list[str]:
    """What became of lost tries, a line each: where, when, why."""
    return [
        f"try {one.number} on {one.node or 'a node that nobody noted'}"
        + (f", {one.ended_at}" if one.ended_at else "")
        + f": {one.reason or 'its shim died'}"
        for one in current_round(tries)
        if one.end.why is Why.LOST
    ]


def told_outcome(outcome: str, error_type: str) -> str:
    """How a try ended, for people: ``failed(1) oom``; what goes without saying is not said."""
    says_more = outcome.startswith("failed(") and error_type not in ("", ErrorType.UNKNOWN.value)
    return f"{outcome} {error_type}" if says_more else outcome


def current_round(tries: tuple[TryResult, ...]) -> tuple[TryResult, ...]:
    """The tries since the task was last settled: a retry by hand starts its counters anew."""
    for position in range(len(tries) - 1, -1, -1):
        if tries[position].final:
            return tries[position + 1 :]
    return tries


def was_put_away(tries: tuple[TryResult, ...]) -> bool:
    """Whether a task in failed/ was put there by a person: no try of it ended there, as all its tries tell."""
    return not tries or not tries[-1].final


def failures_of(tries: tuple[TryResult, ...]) -> int:
    """How often a task has failed by itself, by the tries of one round of which the oldest may be forgotten."""
    count = 0
    for one in tries:
        count = max(count + one.is_failure, one.failures)
    return count


def settle(
    end: End, earlier: tuple[TryResult, ...], limits: RetryLimits, abnormal: Abnormal | None = None
) -> Settlement:
    """Where a task goes after a try: the table of why x status (docs/spool.md, "How a try ends").

    Args:
        end: how this try ended, as :func:`gpu_queue.again.granted` has it.
        earlier: all tries before this one, oldest first.
        limits: how often what is tried again.
        abnormal: the script's own word that this try has failed: a status of 0 is no success then.
    """
    if end.status == 0 and abnormal is None and end.why not in (Why.NOSTART, Why.AGAIN, Why.SAVED):
        return Settlement(State.DONE, "succeeded")
    this_round = current_round(earlier)
    before = failures_of(this_round)
    if end.why in (Why.AGAIN, Why.SAVED):
        return Settlement(State.PENDING, end.why.value, failures=before)
    if end.why in (Why.REQUEUE, Why.FENCED):
        return Settlement(State.PENDING, "requeued" if end.why is Why.REQUEUE else "fenced", failures=before)
    if end.why is Why.LOST:
        lost = 1 + sum(one.end.why is Why.LOST for one in this_round)
        if lost >= limits.max_lost:
            return Settlement(State.FAILED, "lost", f"{lost} tries were lost with their shim or node")
        return Settlement(State.PENDING, "lost", failures=before)
    if end.why is Why.NOSTART:
        refused = 1 + sum(one.end.why is Why.NOSTART for one in this_round)
        if refused >= limits.max_nostart:
            return Settlement(State.FAILED, "not started", f"it could not be started {refused} times")
        return Settlement(State.PENDING, "not started", failures=before)
    if end.why is Why.STOPPED:
        return Settlement(State.FAILED, "stopped")
    if end.why is Why.TIMEOUT:
        return Settlement(State.FAILED, "timeout")
    failures = before + 1
    outcome = f"failed({end.status})"
    if limits.retries is not None and failures > limits.retries:
        return Settlement(State.FAILED, outcome, failures=failures)
    retry = f"retry {failures}" + ("" if limits.retries is None else f" of {limits.retries}")
    if limits.rest_every > 0 and failures % limits.rest_every == 0:
        retry += f", after a rest of {limits.rest}"
    return Settlement(State.PENDING, outcome, retry, failures)
