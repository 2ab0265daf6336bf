"""Which tasks of a snapshot a filter means, and in which order, without making an object of each.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from gpu_queue.console.lists.filters import Query
from gpu_queue.console.models.tasks import Sort, StateFilter
from gpu_queue.spool.paths import title_of
from gpu_queue.spool.snapshot.settled import SettledTask, SettledTasks
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.words import in_words

AnyTask = WaitingTask | RunningTask | SettledTask


class Kind(str, Enum):
    """Where a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


SHOWN: dict[str, tuple[Kind, ...]] = {
    "now": (Kind.RUNNING, Kind.WAITING),
    "waiting": (Kind.WAITING,),
    "running": (Kind.RUNNING,),
    "done": (Kind.DONE,),
    "failed": (Kind.FAILED,),
    "all": (Kind.RUNNING, Kind.WAITING, Kind.FAILED, Kind.DONE),
}


@dataclass(frozen=True)
class Ref:
    """A task of a snapshot."""

    kind: Kind
    which: int | str
    """Its place among those that wait or run; of a settled one its id."""


def task_of(seen: Snapshot, ref: Ref) -> AnyTask | None:
    """The task that is meant, in the snapshot that it was chosen from."""
    if isinstance(ref.which, int):
        tasks: Sequence[WaitingTask] | Sequence[RunningTask] = (
            seen.waiting if ref.kind is Kind.WAITING else seen.running
        )
        return tasks[ref.which] if ref.which < len(tasks) else None
    return (seen.done if ref.kind is Kind.DONE else seen.failed).find(ref.which)


def choose(seen: Snapshot, state: StateFilter, query: Query, sort: Sort) -> list[Ref]:
    """What a filter means, as far as the snapshot tells: what only records tell is not looked at.

    Args:
        seen: the spool.
        state: which tasks at all.
        query: what they have to be.
        sort: ``run``: what runs by start, what waits in run order, what ended by its end as far as that is known.
    """
    found: list[Ref] = []
    for kind in SHOWN[state]:
        if not query.states or _may_be(kind, query.states):
            found += _of_kind(seen, kind, query)
    if sort == "run":
        return found
    key, is_backwards = _order(seen, sort)
    return sorted(found, key=key, reverse=is_backwards)


def _may_be(kind: Kind, states: frozenset[str]) -> bool:
    """Words for an end that is none of the states (``stopped``, ``timeout``) are asked of what ended."""
    named = {one for one in states if one in Kind._value2member_map_}
    return kind.value in named or (bool(states - named) and kind in (Kind.DONE, Kind.FAILED))


def _of_kind(seen: Snapshot, kind: Kind, query: Query) -> list[Ref]:
    if kind is Kind.WAITING:
        if query.nodes:
            return []
        places: Iterator[int] = iter(range(len(seen.waiting)))
        if query.words or query.whys:
            places = (at for at, one in enumerate(seen.waiting) if _waits_so(one, query))
        return [Ref(kind, at) for at in places]
    if kind is Kind.RUNNING:
        numbered = sorted(enumerate(seen.running), key=lambda pair: (_begun(pair[1]), pair[1].task_id))
        return [Ref(kind, at) for at, one in numbered if _runs_so(one, query)]
    tasks = seen.done if kind is Kind.DONE else seen.failed
    ends = query.states - set(Kind._value2member_map_)
    if query.whys or query.nodes or (ends and kind.value not in query.states):
        return [Ref(kind, one.task_id) for one in tasks.with_ends() if _ended_so(one, query, ends)]
    return [Ref(kind, task_id) for task_id in _ids(tasks, query.words)]


def _ids(tasks: SettledTasks, words: tuple[str, ...]) -> Iterator[str]:
    ids = tasks.ids_in_order()
    return (one for one in ids if all(word in one.lower() for word in words)) if words else ids


def _has_words(query: Query, *texts: str) -> bool:
    lowered = [one.lower() for one in texts]
    return all(any(word in text for text in lowered) for word in query.words)


def _waits_so(one: WaitingTask, query: Query) -> bool:
    if not _has_words(query, one.title, one.task_id or one.name):
        return False
    if not query.whys:
        return True
    told = " ".join(f"{why.reason.code.value} {in_words(why.reason)}" for why in one.reasons).lower()
    return all(why in told for why in query.whys)


def _runs_so(one: RunningTask, query: Query) -> bool:
    return (
        not query.whys
        and _has_words(query, one.title, one.task_id)
        and all(node in one.node.lower() for node in query.nodes)
    )


def _ended_so(one: SettledTask, query: Query, ends: frozenset[str] | set[str]) -> bool:
    event = one.ended
    if event is None or not _has_words(query, one.title, one.task_id, event.name):
        return False
    if not all(node in event.node.lower() for node in query.nodes):
        return False
    told = f"{event.outcome} {event.error_type}".lower()
    if not all(why in told for why in query.whys):
        return False
    return one.state.value in query.states or not ends or any(end in told for end in ends)


def _begun(one: RunningTask) -> float:
    return float("inf") if one.page is None or one.told_s is None else one.told_s - one.page.seconds


def _order(seen: Snapshot, sort: Sort) -> tuple[Callable[[Ref], tuple[str, str]], bool]:
    def task_id(ref: Ref) -> str:
        if isinstance(ref.which, str):
            return ref.which
        task = task_of(seen, ref)
        return "" if task is None else task.task_id or f"~{task.name}"

    def title(ref: Ref) -> str:
        if isinstance(ref.which, str):
            return title_of(ref.which)
        task = task_of(seen, ref)
        return "" if task is None else task.title

    def priority(ref: Ref) -> str:
        task = task_of(seen, ref)
        if task is None:
            return ""
        return f"{task.claim.priority if isinstance(task, RunningTask) else task.priority:03d}"

    if sort == "title":
        return (lambda ref: (title(ref).lower(), task_id(ref))), False
    if sort == "priority":
        return (lambda ref: (priority(ref), task_id(ref))), False
    return (lambda ref: (task_id(ref), "")), sort == "newest"
