"""The nouns of an experiment file: a run, the file as a whole, and where something stands in it.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Run:
    """One experiment: what becomes one task."""

    name: str
    """Not repeated within its file."""
    job: str
    """The key in ``jobs`` that it was made of."""
    group: str
    """What it is reported with."""
    script: str
    """The text that runs, whole."""
    content: str
    """Two hashes and a dot between them: of what makes the result (script, environment, directory, GPUs, nodes), and
    of what it asks for besides (memory, time, retries, queue, signal, notify).

    In neither: its name, its log, its place in the file, its priority, what it comes after.
    """
    params: tuple[tuple[str, str], ...] = ()
    """Values of its matrix, as they are written in the file."""
    gpus: str | None = None
    """In the notation of ``#GPUQ``, as all needs here; None: the file says nothing."""
    nodes: str | None = None
    memory: str | None = None
    time: str | None = None
    retries: int | None = None
    signal: str | None = None
    queue: str | None = None
    notify: str | None = None
    """Who is told of its end, and of its group's."""
    priority: int | None = None
    cwd: str = "/"
    after: tuple[str, ...] = ()
    """Names of runs of this file, which must be done first."""
    log: str = ""
    """The path of the link to its log; empty: none is wanted."""
    skip_done: bool = True
    """It is not run again where a run of its name and content was done."""
    snapshot: bool | None = None
    """It runs in a copy of the working tree; None: as its script says."""
    place: Place = Place(1, 1)
    """Of its job in the file."""


def has_same_result(content: str, other: str) -> bool:
    """Whether what makes the result of two runs is the same, by their ``content``."""
    return content.partition(".")[0] == other.partition(".")[0]


@dataclass(frozen=True)
class Experiment:
    """A file that was read."""

    path: str
    """Without links: what it is known by."""
    place: str
    """As its user spells it, from the root."""
    runs: tuple[Run, ...]
    """In the order of the file, in which they run where nothing else is said."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Its groups, each once, in the order of the file."""
        return tuple(dict.fromkeys(run.group for run in self.runs))
