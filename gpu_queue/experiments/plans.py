"""What loading an experiment does: which runs are new, changed, gone, done; what is queued, what taken out.  Pure.

- A run is known by its name.  The last task of that name counts, unless it was cancelled or waits with other content.
- Of tasks that two loads queued for one run at once one is left: the one that has started, else the first.
- What runs as it was goes on alone: the run as it is now, and what comes after it, wait outside the queue until then,
  for two forms of a run would write the same log and the same results.
- What was done, runs or has failed stays.  It is queued once more where the file or its user says so, where its log
  was removed, and where what it comes after was queued later than itself: its result would be that of another one.
- What waits and was changed is taken out and queued anew, as is what waits for a task that will not be done any more.
- A serial queue keeps the order of its file: behind the first difference what waits in it is queued anew.  Without a
  queue what is new comes behind what waits.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from gpu_queue.experiments.known import Member
from gpu_queue.experiments.specs.nouns import Run, has_same_result
from gpu_queue.task import DEFAULT_PRIORITY, State
from gpu_queue.texts import printable


class News(str, Enum):
    """What is to be said of a run."""

    NEW = "new"
    CHANGED = "changed"
    """It was queued with another content before."""
    AGAIN = "again"
    """It was queued before just so, and is queued once more."""
    MOVED = "moved"
    """It waited, and is queued anew: for the order, or for what it comes after."""
    RETRIED = "retried"
    """It has failed, and is tried again under its id."""
    WAITS = "waits"
    RUNS = "runs"
    DONE = "done"
    FAILED = "failed"
    LATER = "later"
    """It is queued by a later load: it runs as it was before, or what it comes after does."""


PUBLISHED = frozenset({News.NEW, News.CHANGED, News.AGAIN, News.MOVED})
"""What is queued."""
_IN_PLACE = {News.WAITS: News.MOVED, News.RETRIED: News.AGAIN}
"""What waits where it waited, or will; and what it becomes where that is the wrong place."""
_STAYS = {State.PENDING: News.WAITS, State.RUNNING: News.RUNS, State.DONE: News.DONE, State.FAILED: News.FAILED}


class Because(str, Enum):
    """Why a run is queued though it was queued before just so."""

    ASKED = "asked"
    """``--again``."""
    SKIP_DONE = "skip_done"
    """The file says ``skip_done: false``."""
    LOG = "log"
    """The link to its log was removed."""
    UPSTREAM = "upstream"
    """What it comes after is queued anew, or was since."""
    ORDER = "order"
    """Something comes before it now."""


@dataclass(frozen=True)
class Item:
    """A run, and what becomes of it."""

    run: Run
    news: News
    member: Member | None = None
    """The task that it was until now; None: there was none."""
    because: Because | None = None

    @property
    def is_published(self) -> bool:
        """Whether a task is queued for it."""
        return self.news in PUBLISHED


@dataclass(frozen=True)
class Plan:
    """What follows from loading a file."""

    items: tuple[Item, ...]
    """Of each run, in the order of the file."""
    order: tuple[int, ...]
    """Their positions in the order in which they are queued: none before what it comes after."""
    cancelled: tuple[Member, ...] = ()
    """What is taken out: gone, changed, moved."""
    gone: tuple[Member, ...] = ()
    """Tasks of runs that are not in the file any more, and that waited or run."""
    past: tuple[Member, ...] = ()
    """The same, of those that have ended."""

    @property
    def published(self) -> list[Item]:
        """What is queued, in that order."""
        return [self.items[at] for at in self.order if self.items[at].is_published]

    @property
    def outdated(self) -> list[Member]:
        """What runs as it was, in the order of the file."""
        later = (one for one in self.items if one.news is News.LATER and one.because is None)
        return [one.member for one in later if one.member is not None]

    @property
    def retried(self) -> list[Item]:
        """What is tried again, in that order."""
        return [self.items[at] for at in self.order if self.items[at].news is News.RETRIED]


@dataclass(frozen=True)
class Facts:
    """What is known beside the file."""

    known: Sequence[Member] = ()
    """The tasks of earlier loads, in any order."""
    taken: Sequence[Member] = ()
    """Those that were taken out for this load already, as they were before."""
    lost_logs: frozenset[str] = frozenset()
    """Ids of those whose link to the log was removed."""
    before: frozenset[str] | None = None
    """Ids of those that were there before this load published something; None: it has not."""


@dataclass(frozen=True)
class Wish:
    """How it is to be loaded."""

    again: bool = False
    """Also what was done or has failed is queued once more."""
    retry_failed: bool = False
    """What has failed is tried again under its id."""


def in_order(runs: Sequence[Run]) -> tuple[int, ...]:
    """The positions of runs in the order of the file, but none before what it comes after.

    Raises:
        ValueError: one comes after itself, or after what is not among them.
    """
    at_of = {run.name: at for at, run in enumerate(runs)}
    open_of = [len(set(run.after)) for run in runs]
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    for at, run in enumerate(runs):
        for name in set(run.after):
            if name not in at_of:
                raise ValueError(f"{printable(run.name)} comes after {printable(name)}, which is no run of the file")
            waiting[at_of[name]].append(at)
    ready = [at for at, count in enumerate(open_of) if not count]
    order = []
    while ready:
        at = heapq.heappop(ready)
        order.append(at)
        for later in waiting[at]:
            open_of[later] -= 1
            if not open_of[later]:
                heapq.heappush(ready, later)
    if len(order) < len(runs):
        stuck = next(run for run, count in zip(runs, open_of, strict=True) if count)
        raise ValueError(f"{printable(stuck.name)} comes after itself")
    return tuple(order)


def check_queues(runs: Sequence[Run], order: Sequence[int]) -> None:
    """Refuse what would wait for ever: in a serial queue it would stand before what it comes after.

    Raises:
        ValueError: two runs of a queue have such priorities.
    """
    last: dict[str, dict[str, Run]] = {}
    of_those: dict[tuple[str, ...], dict[str, Run]] = {(): {}}
    for at in order:
        run = runs[at]
        if run.after not in of_those:
            of_those[run.after] = _last_of(one for name in run.after for one in last[name].values())
        before = of_those[run.after]
        last[run.name] = before
        if run.queue is None:
            continue
        other = before.get(run.queue)
        if other is not None and priority_of(run) < priority_of(other):
            behind = f"{printable(other.name)} with priority {priority_of(other)}"
            raise ValueError(
                f"{printable(run.name)} with priority {priority_of(run)} would stand before {behind} in the queue "
                f"{printable(run.queue)}, and comes after it"
            )
        last[run.name] = before | {run.queue: run}


def _last_of(runs: Iterable[Run]) -> dict[str, Run]:
    """Of each queue the one that runs last."""
    last: dict[str, Run] = {}
    for run in runs:
        if run.queue is not None and priority_of(last.get(run.queue, run)) <= priority_of(run):
            last[run.queue] = run
    return last


def priority_of(run: Run) -> int:
    """What it is queued with."""
    return DEFAULT_PRIORITY if run.priority is None else run.priority


def compare(runs: Sequence[Run], facts: Facts, wish: Wish) -> Plan:
    """Hold a file against what earlier loads of it made.

    Raises:
        ValueError: the runs cannot be ordered.
    """
    order = in_order(runs)
    check_queues(runs, order)
    own = _own(facts)
    items: dict[str, Item] = {}
    lines: defaultdict[str, _Line] = defaultdict(_Line)
    for at in order:
        run = runs[at]
        item = _by_itself(run, own.get(printable(run.name), ()), facts, wish)
        item = _behind(item, [items[name] for name in run.after])
        items[run.name] = item if run.queue is None else lines[run.queue].take(item)
    stays = (item for item in items.values() if not item.is_published and item.news is not News.LATER)
    kept = {item.member.id for item in stays if item.member is not None}
    taken = {one.id for one in facts.taken}
    there = [one for some in own.values() for one in some]
    waiting = [one for one in there if one.state is State.PENDING and one.id not in kept]
    names = {printable(run.name) for run in runs}
    left = [one for one in there if one.part.name not in names]
    return Plan(
        tuple(items[run.name] for run in runs),
        order,
        cancelled=tuple(one for one in waiting if one.id not in taken or one not in facts.taken),
        gone=tuple(one for one in left if one.state in (State.PENDING, State.RUNNING)),
        past=tuple(one for one in left if one.state not in (State.PENDING, State.RUNNING)),
    )


def compare_once_more(runs: Sequence[Run], facts: Facts) -> Plan:
    """What is to be done after publishing, where another load of the file was under way.

    Whoever publishes last sees what both have published, and all who see it decide the same.  What the other one
    published is touched only as far as it doubles what is here, or comes after that.
    """
    facts = replace(facts, lost_logs=frozenset())
    runs = [replace(run, skip_done=True) for run in runs]
    first = compare(runs, facts, Wish())
    names: set[str] = set()
    for at in first.order:
        item = first.items[at]
        # One that nobody has queued was cancelled meanwhile, or is in the other's file as it is there.
        if item.news not in (News.NEW, News.CHANGED) and names.issuperset(item.run.after):
            names.add(item.run.name)
    known = {printable(run.name): run for run in runs if run.name in names}
    plan = compare(list(known.values()), facts, Wish()) if len(names) < len(runs) else first
    doubled = [one for one in plan.cancelled if one.part.name in known and _is_alike(one, known[one.part.name])]
    return replace(plan, cancelled=tuple(doubled), gone=(), past=())


def _own(facts: Facts) -> dict[str, list[Member]]:
    """By the names of their runs the tasks that count, in the order of their submission."""
    taken = {one.id for one in facts.taken}
    # What this load has put into failed/ counts as it was before; what a person has retried meanwhile waits again.
    known = [one for one in facts.known if one.id not in taken or one.state is not State.FAILED]
    there = [one for one in known if not one.was_cancelled]
    ids = {one.id for one in there}
    own: defaultdict[str, list[Member]] = defaultdict(list)
    for one in sorted([*there, *(one for one in facts.taken if one.id not in ids)], key=lambda one: one.id):
        own[one.part.name].append(one)
    return dict(own)


def _by_itself(run: Run, own: Sequence[Member], facts: Facts, wish: Wish) -> Item:
    """What becomes of a run, as far as others do not matter."""
    alike = _without_doubles([one for one in own if _is_alike(one, run)], facts)
    running = [one for one in own if one.state is State.RUNNING]
    if running:
        as_it_is = [one for one in running if one in alike]
        return Item(run, News.RUNS, as_it_is[-1]) if as_it_is else Item(run, News.LATER, running[-1])
    counting = [one for one in own if one.state is not State.PENDING or one in alike]
    if not counting:
        return Item(run, News.CHANGED if own else News.NEW, own[-1] if own else None)
    last = counting[-1]
    if last not in alike:
        return Item(run, News.CHANGED, last)
    if last in facts.taken:
        return Item(run, News.MOVED, last, Because.ORDER)
    if last.state in (State.DONE, State.FAILED) and wish.again:
        return Item(run, News.AGAIN, last, Because.ASKED)
    if last.state is State.FAILED and wish.retry_failed:
        return Item(run, News.RETRIED, last)
    if last.state is State.DONE and not run.skip_done:
        return Item(run, News.AGAIN, last, Because.SKIP_DONE)
    if last.state is State.DONE and last.id in facts.lost_logs:
        return Item(run, News.AGAIN, last, Because.LOG)
    return Item(run, _STAYS[last.state], last)


def _without_doubles(alike: Sequence[Member], facts: Facts) -> list[Member]:
    """Tasks of a run, without those that wait though another one has started, or waits since earlier."""
    waiting = [one for one in alike if one.state is State.PENDING]
    others = [one for one in alike if one.state is not State.PENDING]
    # One that was done before may have been queued once more on purpose; one that has failed may have done so because
    # the double that it came after was taken out.
    done = [one for one in others if one.state is State.DONE]
    fresh = [one for one in done if facts.before is not None and one.id not in facts.before]
    if fresh or any(one.state is State.RUNNING for one in others):
        return others
    first = next((one for one in waiting if one not in facts.taken), waiting[0] if waiting else None)
    return [one for one in alike if one.state is not State.PENDING or one is first]


def _is_alike(one: Member, run: Run) -> bool:
    """Whether a task is a run's: what runs or was done stays though the file says another time or queue now."""
    if one.state in (State.RUNNING, State.DONE):
        return has_same_result(one.part.content, run.content)
    return one.part.content == run.content


def _behind(item: Item, upstream: Sequence[Item]) -> Item:
    """What becomes of it behind what it comes after."""
    item = _follows(item, upstream)
    # What has ended would be queued once more as soon as what it comes after is.
    is_due = item.is_published or item.news in _IN_PLACE or item.news in (News.DONE, News.FAILED)
    if is_due and any(one.news is News.LATER for one in upstream):
        return replace(item, news=News.LATER, because=Because.UPSTREAM)
    return item


def _follows(item: Item, upstream: Sequence[Item]) -> Item:
    """The same, where nothing runs as it was."""
    member = item.member
    if member is None or item.is_published or item.news in (News.RUNS, News.LATER):
        return item
    ids = {one.member.id for one in upstream if one.member is not None}
    is_fresh = any(one.is_published for one in upstream)
    is_other = is_fresh or ids != set(member.after)
    if item.news is News.WAITS:
        return replace(item, news=News.MOVED, because=Because.UPSTREAM) if is_other else item
    # A retry under its id would wait for what its record names.
    if is_fresh or any(one > member.id for one in ids) or (item.news is News.RETRIED and is_other):
        return replace(item, news=News.AGAIN, because=Because.UPSTREAM)
    return item


@dataclass
class _Line:
    """Runs that follow each other in a serial queue."""

    last: str = ""
    """The id of the last one that stays where it waits."""
    has_ended: bool = False
    """There was a difference."""

    def take(self, item: Item) -> Item:
        """The next one, as it stands in the line."""
        if item.news in _IN_PLACE and item.member is not None:
            self.has_ended |= item.member.id < self.last
            self.last = item.member.id
            if self.has_ended:
                return replace(item, news=_IN_PLACE[item.news], because=Because.ORDER)
        self.has_ended |= item.is_published
        return item
