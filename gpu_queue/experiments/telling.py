"""A plan of an experiment in words: lines for people.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from gpu_queue.experiments.known import Member
from gpu_queue.experiments.plans import Because, Item, News, Plan
from gpu_queue.experiments.queueing import Loaded
from gpu_queue.experiments.specs.nouns import Experiment, Run
from gpu_queue.spool.desk.find import Task
from gpu_queue.task import State, short_name
from gpu_queue.texts import printable

LISTED_MAX = 20
"""Of the same kind, where not all were asked for."""
_COUNTED = {
    News.NEW: "new",
    News.CHANGED: "changed",
    News.AGAIN: "once more",
    News.MOVED: "queued anew",
    News.RETRIED: "tried again",
    News.WAITS: "waiting",
    News.RUNS: "running",
    News.DONE: "done",
    News.FAILED: "failed",
    News.LATER: "to be queued later",
}
_WORDS = _COUNTED | {
    News.MOVED: "queued anew, for the order",
    News.WAITS: "waits already",
    News.RUNS: "runs already",
    News.DONE: "was done",
    News.FAILED: "has failed; gpu_retry, or --again",
}
_BECAUSE = {
    Because.ASKED: "once more",
    Because.SKIP_DONE: "once more: skip_done is false",
    Because.LOG: "once more: its log was removed",
    Because.UPSTREAM: "once more: what it comes after is queued anew",
}
_UNASKED = frozenset({Because.LOG, Because.UPSTREAM})


def changes(plan: Plan) -> bool:
    """Whether something of an earlier load is changed, so that a person is asked first."""
    return (
        bool(plan.gone)
        or any(one.part.name in _later(plan) for one in plan.cancelled)
        or any(
            item.news in (News.CHANGED, News.MOVED) or (item.is_published and item.because in _UNASKED)
            for item in plan.items
        )
    )


def _later(plan: Plan) -> set[str]:
    return {item.run.name for item in plan.items if item.news is News.LATER}


def head(experiment: Experiment, plan: Plan) -> str:
    """All of it in a line: ``sweep.yaml: 24 runs: 3 new, 21 done``."""
    counts = Counter(item.news for item in plan.items)
    told = [f"{count} {_COUNTED[news]}" for news in News if (count := counts[news])]
    if plan.gone:
        told.append(f"{len(plan.gone)} gone")
    groups = len(experiment.groups)
    among = f" in {groups} groups" if groups > 1 else ""
    return f"{_name(experiment)}: {_plural(len(plan.items), 'run')}{among}: {', '.join(told) or 'nothing'}"


def short(experiment: Experiment, loaded: Loaded) -> str:
    """What was done, where the plan was shown before."""
    counts = (
        (len(loaded.queued), "queued"),
        (len(loaded.cancelled), "taken out"),
        (len(loaded.retried), "tried again"),
    )
    told = [f"{count} {word}" for count, word in counts if count]
    return f"{_name(experiment)}: {', '.join(told) or 'nothing was left to do'}"


def planned(plan: Plan) -> Iterator[str]:
    """What is to be done, or would be, with each run."""
    for item in plan.items:
        yield f"  {_asks(item.run)}: {_word(item)}"
    yield from _left(plan)


def changed(plan: Plan, *, is_followed: bool = False) -> Iterator[str]:
    """What a person is asked about: what differs from the load before, of very many of a kind the first.

    Args:
        plan: what is about to be done.
        is_followed: what is queued later is queued without being asked for.
    """
    for news in News:
        found = (item for item in plan.items if item.news is news and _differs(item))
        yield from first_of([f"  {_asks(item.run)}: {_word(item, is_followed=is_followed)}" for item in found])
    yield from first_of(list(_left(plan)))


def done(loaded: Loaded, *, tells_all: bool) -> Iterator[str]:
    """What was done; a pipe gets the names of what was queued, and is not told of what is new here."""
    said = {item.run.name: item for item in loaded.plan.items}
    queued = [(said[run.name], task) for run, task in loaded.queued]
    told = [one for one in queued if tells_all or one[0].news is not News.NEW]
    yield from first_of(
        [f"  {printable(item.run.name)}: queued as {_nonce(task)}{_why(item)}" for item, task in told]
    )
    yield from first_of([f"  {_called(one)}: tried again" for one in loaded.retried])
    for news in (News.FAILED, News.LATER):
        found = (item for item in loaded.plan.items if item.news is news)
        yield from first_of([f"  {printable(item.run.name)}: {_word(item)}" for item in found])
    yield from first_of(list(_left(loaded.plan)))


def notes(loaded: Loaded) -> Iterator[str]:
    """What the submitter should know, each once."""
    yield from loaded.notes
    if loaded.others:
        yield f"another load queued {len(loaded.others)} of the runs at the same time; its tasks stay"
    noted: dict[str, list[str]] = {}
    for run, task in loaded.queued:
        for note in task.notes:
            noted.setdefault(note, []).append(printable(run.name))
    lines = [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {note}"
        for note, names in noted.items()
    ]
    yield from first_of(lines)
    yield from first_of([line for item in loaded.plan.items if (line := _other_priority(item))])


def first_of(lines: list[str]) -> Iterator[str]:
    """Of very many lines the first, and how many more there are."""
    yield from lines[:LISTED_MAX]
    if len(lines) > LISTED_MAX:
        yield f"  … and {len(lines) - LISTED_MAX} more"


def _differs(item: Item) -> bool:
    return item.news in (News.CHANGED, News.MOVED, News.AGAIN, News.LATER)


def _word(item: Item, *, is_followed: bool = False) -> str:
    if item.news is News.LATER:
        it, has = ("it", "has") if item.because is None else ("that", "has")
        then = f"it is queued when {it} {has} ended" if is_followed else f"load it again when {it} {has} ended"
        if item.because is Because.UPSTREAM or item.member is None:
            return f"not queued yet: what it comes after runs as it was; {then}"
        nonce = item.member.id.split("-")[1]
        return f"runs as it was, in {item.member.task.where} (gpu_stop {nonce} ends it); {then}"
    if item.news is News.MOVED and item.because is Because.UPSTREAM:
        return "queued anew, for what it comes after"
    if item.news is News.AGAIN and item.because in _BECAUSE:
        return _BECAUSE[item.because]
    return _WORDS[item.news]


def _why(item: Item) -> str:
    return "" if item.news is News.NEW else f" ({_word(item)})"


def _other_priority(item: Item) -> str:
    member, wanted = item.member, item.run.priority
    if item.news is not News.WAITS or member is None or wanted in (None, member.task.priority):
        return ""
    nonce = member.id.split("-")[1]
    return (
        f"{printable(item.run.name)} waits with priority {member.task.priority}, the file says {wanted}: "
        f"gpu_priority {nonce} {wanted}"
    )


def _left(plan: Plan) -> Iterator[str]:
    """What becomes of tasks that are not in the file any more."""
    for one in plan.gone:
        if one.state is State.PENDING:
            yield f"  {_called(one)}: taken out, it is gone from the file"
        else:
            yield f"  {_called(one)}: gone from the file; in {one.task.where}, where it stays"


def _called(member: Member) -> str:
    return short_name(str(member.task), member.part.name)


def _nonce(task: Task) -> str:
    return (task.id or "").split("-")[1]


def _asks(run: Run) -> str:
    """A run with what it asks for: ``mnist_s0 (line 9, 2 GPUs of 8G, 4h, queue q, after 3)``."""
    gpus = "" if run.gpus is None else f"{printable(run.gpus)} {'GPU' if run.gpus == '1' else 'GPUs'}"
    memory = "" if run.memory is None else f"{'of ' if gpus else ''}{printable(run.memory)}"
    said: Iterable[str] = (
        f"line {run.place.line}",
        " ".join(filter(None, (gpus, memory))),
        "" if run.time is None else printable(run.time),
        "" if run.queue is None else f"queue {printable(run.queue)}",
        "" if run.priority is None else f"priority {run.priority}",
        "" if not run.after else f"after {len(run.after)}",
    )
    return f"{printable(run.name)} ({', '.join(filter(None, said))})"


def _name(experiment: Experiment) -> str:
    return printable(experiment.place.rpartition("/")[2])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
