"""What somebody looks for, as it is typed.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.console.models.tasks import TaskFilter
from gpu_queue.task import ErrorType
from gpu_queue.units import parse_duration_s

FIELDS = frozenset({"queue", "node", "is", "why", "user", "ended"})
TERMS_MAX = 50


@dataclass(frozen=True)
class Query:
    """What a task has to be; all of it.  Texts are in small letters."""

    words: tuple[str, ...] = ()
    """Each is in its id or title."""
    states: frozenset[str] = frozenset()
    """One of these: ``waiting``, ``running``, ``done``, ``failed``, or a part of how it ended; empty: any."""
    whys: tuple[str, ...] = ()
    """Each is in why it waits, or in how it failed."""
    nodes: tuple[str, ...] = ()
    """Each is in the name of its node."""
    queues: tuple[str, ...] = ()
    """Its queue is each of these: more than one is none."""
    users: tuple[str, ...] = ()
    reason: str = ""
    """The code of the first reason why it waits; or how it failed, as :func:`how_failed` says it."""
    ended_within_s: float | None = None
    experiment: str = ""
    batch: str = ""
    without: str = ""

    @property
    def reads_records(self) -> bool:
        """Whether only records tell."""
        return bool(self.queues or self.users or self.experiment or self.batch or self.without)


def parse(wanted: TaskFilter) -> Query:
    """What is asked for; a word with an unknown prefix is a word.

    >>> found = parse(TaskFilter(q="sweep queue:car is:failed"))
    >>> found.words, found.queues, found.states
    (('sweep',), ('car',), frozenset({'failed'}))
    """
    found: dict[str, list[str]] = {name: [] for name in FIELDS}
    words = []
    for term in wanted.q.split()[:TERMS_MAX]:
        name, colon, value = term.partition(":")
        if colon and name.lower() == "ended" and _seconds(value) is None:
            words.append(term.lower())
        elif colon and name.lower() in FIELDS:
            if value:
                found[name.lower()].append(value)
        else:
            words.append(term.lower())
    queues = [*found["queue"], *([wanted.queue] if wanted.queue else [])]
    nodes = [*found["node"], *([wanted.node] if wanted.node else [])]
    spans_s = [*map(_seconds, found["ended"]), wanted.ended_within_s]
    return Query(
        tuple(words),
        frozenset(one.lower() for one in found["is"]),
        tuple(one.lower() for one in found["why"]),
        tuple(one.lower() for one in nodes),
        tuple(queues),
        (*found["user"], *([wanted.user] if wanted.user else [])),
        wanted.why,
        min((one for one in spans_s if one), default=None),
        wanted.experiment,
        wanted.batch,
        wanted.without,
    )


def _seconds(text: str) -> float | None:
    try:
        return parse_duration_s(text)
    except ValueError:
        return None


def how_failed(outcome: str, error_type: str) -> str:
    """What kind of failure it was, as people filter by it: its error type where that says something."""
    return outcome if error_type in ("", ErrorType.UNKNOWN.value) else error_type
