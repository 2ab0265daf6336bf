"""Which tasks of a snapshot a filter means, and in which order, without making an object of each.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import repeat
from typing import Any

from gpu_queue.console.lists.filters import Query
from gpu_queue.console.models.tasks import Sort, StateFilter
from gpu_queue.spool.paths import title_of
from gpu_queue.spool.snapshot.settled import SettledTask, SettledTasks
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask, WaitingTasks
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


Ref = tuple[Kind, int | str]
"""A task of a snapshot: its place among those that wait or run; of a settled one its id.  A list has a hundred
thousand."""


def task_of(seen: Snapshot, ref: Ref) -> AnyTask | None:
    """The task that is meant, in the snapshot that it was chosen from."""
    kind, which = ref
    if isinstance(which, int):
        tasks: Sequence[WaitingTask] | Sequence[RunningTask] = seen.waiting if kind is Kind.WAITING else seen.running
        return tasks[which] if which < len(tasks) else None
    return (seen.done if kind is Kind.DONE else seen.failed).find(which)


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
    keys: list[Any] = [*_keys(seen, found, sort)]  # all of them texts, or all of them pairs
    order = sorted(range(len(found)), key=keys.__getitem__, reverse=sort == "newest")
    return [found[at] for at in order]


def _may_be(kind: Kind, states: frozenset[str]) -> bool:
    """Words for an end that is none of the states (``stopped``, ``timeout``) are asked of what ended."""
    named = {one for one in states if one in Kind._value2member_map_}
    return kind.value in named or (bool(states - named) and kind in (Kind.DONE, Kind.FAILED))


def _of_kind(seen: Snapshot, kind: Kind, query: Query) -> list[Ref]:
    if kind is Kind.WAITING:
        if query.nodes:
            return []
        return [*zip(repeat(kind), _places(seen.waiting, query))]
    if kind is Kind.RUNNING:
        numbered = sorted(enumerate(seen.running), key=lambda pair: (_begun(pair[1]), pair[1].task_id))
        return [(kind, at) for at, one in numbered if _runs_so(one, query)]
    tasks = seen.done if kind is Kind.DONE else seen.failed
    ends = query.states - set(Kind._value2member_map_)
    if query.whys or query.nodes or (ends and kind.value not in query.states):
        return [(kind, one.task_id) for one in tasks.with_ends() if _ended_so(one, query, ends)]
    return [*zip(repeat(kind), _ids(tasks, query.words))]


def _ids(tasks: SettledTasks, words: tuple[str, ...]) -> Iterable[str]:
    ids: Iterable[str] = tasks.ids_in_order()
    for word in words:
        ids = [one for one in ids if word in one.lower()]
    return ids


def _has_words(query: Query, *texts: str) -> bool:
    lowered = [one.lower() for one in texts]
    return all(any(word in text for text in lowered) for word in query.words)


def _places(waiting: WaitingTasks, query: Query) -> Iterable[int]:
    places: Iterable[int] = range(len(waiting))
    if query.words:
        places = [at for at, texts in enumerate(waiting.named()) if _has_words(query, *texts)]
    if not query.whys:
        return places
    told: dict[int, tuple[object, str]] = {}  # most wait for the same
    return [at for at in places if _waits_so(waiting.reasons(at), query.whys, told)]


def _waits_so(reasons: tuple[NodeReason, ...], whys: tuple[str, ...], told: dict[int, tuple[object, str]]) -> bool:
    # The reasons are kept beside their text: as long as they are, no other has their identity.
    _, text = told.get(id(reasons), (None, None))
    if text is None:
        text = " ".join(f"{why.reason.code.value} {in_words(why.reason)}" for why in reasons).lower()
        told[id(reasons)] = reasons, text
    return all(why in text for why in whys)


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


def _keys(seen: Snapshot, refs: Iterable[Ref], sort: Sort) -> Iterator[tuple[str, str] | str]:
    """What each is sorted by; ids begin with the moment of submission."""
    waiting = [*seen.waiting] if any(kind is Kind.WAITING for kind, _ in refs) else []
    settled = {Kind.DONE: seen.done, Kind.FAILED: seen.failed}
    for kind, which in refs:
        if isinstance(which, str):
            task_id, title, priority = which, "", 0
            if sort == "title":
                title = title_of(which)
            elif sort == "priority":
                priority = settled[kind].priority(which)
        elif kind is Kind.WAITING:
            one = waiting[which]
            task_id, title, priority = one.task_id or f"~{one.name}", one.title, one.priority
        else:
            runs = seen.running[which]
            task_id, title, priority = runs.task_id, runs.title, runs.claim.priority
        if sort == "title":
            yield title.lower(), task_id
        else:
            yield f"{priority:03d}{task_id}" if sort == "priority" else task_id
