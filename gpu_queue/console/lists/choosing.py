"""Which tasks of a snapshot a filter means, and in which order, without making an object of each.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, takewhile

from gpu_queue.console.lists.filters import Query, how_failed
from gpu_queue.console.lists.orders import InRunOrder, Kind, Orders, Part, Ref, Refs, Sorted, id_of, key_of
from gpu_queue.console.models.tasks import Sort, StateFilter
from gpu_queue.spool.snapshot.settled import SettledTask, SettledTasks
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.spool.snapshot.waiting import NodeReason, WaitingTask, WaitingTasks
from gpu_queue.task import State
from gpu_queue.words import in_words

AnyTask = WaitingTask | RunningTask | SettledTask


SHOWN: dict[str, tuple[Kind, ...]] = {
    "now": (Kind.RUNNING, Kind.WAITING),
    "waiting": (Kind.WAITING,),
    "running": (Kind.RUNNING,),
    "done": (Kind.DONE,),
    "failed": (Kind.FAILED,),
    "all": (Kind.RUNNING, Kind.WAITING, Kind.FAILED, Kind.DONE),
}


_ENDED = (Kind.DONE, Kind.FAILED)


def task_of(seen: Snapshot, ref: Ref) -> AnyTask | None:
    """The task that is meant, in the snapshot that it was chosen from."""
    kind, which = ref
    if isinstance(which, int):
        tasks: Sequence[WaitingTask] | Sequence[RunningTask] = seen.waiting if kind is Kind.WAITING else seen.running
        return tasks[which] if which < len(tasks) else None
    return (seen.done if kind is Kind.DONE else seen.failed).find(which)


def ref_of(seen: Snapshot, name: str) -> Ref | None:
    """What means a task in this snapshot.

    Args:
        seen: the spool.
        name: its id, or its name in pending/.
    """
    place = seen.waiting.place(name)
    if place is not None:
        return Kind.WAITING, place
    at = next((at for at, one in enumerate(seen.running) if one.task_id == name), None)
    if at is not None:
        return Kind.RUNNING, at
    kinds = (kind for kind, of in ((Kind.FAILED, seen.failed), (Kind.DONE, seen.done)) if of.find(name) is not None)
    return next(((kind, name) for kind in kinds), None)


def choose(
    seen: Snapshot,
    state: StateFilter,
    query: Query,
    sort: Sort,
    orders: Orders | None = None,
    ended_since_s: float | None = None,
) -> Refs:
    """What a filter means, as far as the snapshot tells: what only records tell is not looked at.

    Args:
        seen: the spool.
        state: which tasks at all.
        query: what they have to be.
        sort: ``run``: what runs by start, what waits in run order, what ended by its end as far as that is known.
        orders: what was sorted before.
        ended_since_s: only what ended then or later, by the server's clock; None: whatever it is.
    """
    parts = [
        _of_kind(seen, kind, query, sort, ended_since_s)
        for kind in SHOWN[state]
        if (not query.states or _may_be(kind, query.states)) and (kind in _ENDED or ended_since_s is None)
    ]
    if sort == "run":
        return InRunOrder(parts)
    orders, live = orders or Orders(), dict[str, Ref]()
    settled: list[Sequence[str]] = []
    for kind, part in parts:
        if kind in (Kind.WAITING, Kind.RUNNING):
            live |= {_key(seen, (kind, at), sort): (kind, at) for at in part if isinstance(at, int)}
        else:
            only = None if isinstance(part, SettledTasks) else [one for one in part if isinstance(one, str)]
            settled.append(orders.keys(seen.done if kind is Kind.DONE else seen.failed, sort, only))
    # What is sorted already costs a merge.
    keys = sorted([*sorted(live), *chain.from_iterable(settled)])
    if sort == "newest":
        keys.reverse()
    return Sorted(keys, live, seen.failed, partial(id_of, sort))


def _may_be(kind: Kind, states: frozenset[str]) -> bool:
    """Words for an end that is none of the states (``stopped``, ``timeout``) are asked of what ended."""
    named = {one for one in states if one in Kind._value2member_map_}
    return kind.value in named or (bool(states - named) and kind in (Kind.DONE, Kind.FAILED))


def _of_kind(seen: Snapshot, kind: Kind, query: Query, sort: Sort, since_s: float | None) -> Part:
    if kind is Kind.WAITING:
        return kind, [] if query.nodes else _places(seen.waiting, query)
    if kind is Kind.RUNNING:
        numbered = sorted(enumerate(seen.running), key=lambda pair: (_begun(pair[1]), pair[1].task_id))
        return kind, [at for at, one in numbered if _runs_so(one, query)]
    tasks = seen.done if kind is Kind.DONE else seen.failed
    ends = query.states - set(Kind._value2member_map_)
    asks_ends = query.whys or query.nodes or query.reason or (ends and kind.value not in query.states)
    if asks_ends or since_s is not None:
        return kind, [one.task_id for one in _lately(tasks, since_s) if _ended_so(one, query, ends)]
    if not query.words:
        return kind, tasks
    ids: Sequence[str] = tasks.ids
    for word in query.words:
        ids = [one for one in ids if word in one.lower()]
    return kind, tasks.in_order(ids) if sort == "run" else ids


def _has_words(query: Query, *texts: str) -> bool:
    lowered = [one.lower() for one in texts]
    return all(any(word in text for text in lowered) for word in query.words)


def _places(waiting: WaitingTasks, query: Query) -> Sequence[int]:
    places: Sequence[int] = range(len(waiting))
    if query.words:
        places = [at for at, texts in enumerate(waiting.named()) if _has_words(query, *texts)]
    if query.reason:
        places = [at for at in places if first_reason(waiting, at) == query.reason]
    if not query.whys:
        return places
    told: dict[int, tuple[object, str]] = {}  # most wait for the same
    return [at for at in places if _waits_so(waiting.reasons(at), query.whys, told)]


def first_reason(waiting: WaitingTasks, place: int) -> str:
    """The code of why a task waits, as lists show it; empty: nobody told."""
    told = waiting.reasons(place)
    return told[0].reason.code.value if told else ""


def _lately(tasks: SettledTasks, since_s: float | None) -> Iterator[SettledTask]:
    """Those whose end is known, the newest first, as far back as that."""
    if since_s is None:
        return tasks.with_ends()
    return takewhile(lambda one: one.ended is not None and (one.ended.at_s or 0.0) >= since_s, tasks.with_ends())


def _waits_so(reasons: tuple[NodeReason, ...], whys: tuple[str, ...], told: dict[int, tuple[object, str]]) -> bool:
    # The reasons are kept beside their text: as long as they are, no other has their identity.
    _, text = told.get(id(reasons), (None, None))
    if text is None:
        text = " ".join(f"{why.reason.code.value} {in_words(why.reason)}" for why in reasons).lower()
        told[id(reasons)] = reasons, text
    return all(why in text for why in whys)


def _runs_so(one: RunningTask, query: Query) -> bool:
    return (
        not (query.whys or query.reason)
        and _has_words(query, one.title, one.task_id)
        and all(node in one.node.lower() for node in query.nodes)
    )


def _ended_so(one: SettledTask, query: Query, ends: frozenset[str] | set[str]) -> bool:
    event = one.ended
    if event is None or not _has_words(query, one.title, one.task_id, event.name):
        return False
    if not all(node in event.node.lower() for node in query.nodes):
        return False
    if query.reason and (one.state is State.DONE or how_failed(event.outcome, event.error_type) != query.reason):
        return False
    told = f"{event.outcome} {event.error_type}".lower()
    if not all(why in told for why in query.whys):
        return False
    return one.state.value in query.states or not ends or any(end in told for end in ends)


def _begun(one: RunningTask) -> float:
    return float("inf") if one.page is None or one.told_s is None else one.told_s - one.page.seconds


def _key(seen: Snapshot, ref: Ref, sort: Sort) -> str:
    """What a task that waits or runs is sorted by."""
    one = task_of(seen, ref)
    if isinstance(one, WaitingTask):
        return key_of(sort, one.task_id or f"~{one.name}", one.title, one.priority)
    assert isinstance(one, RunningTask)
    return key_of(sort, f"{one.task_id}{one.claim.token}", one.title, one.claim.priority)
