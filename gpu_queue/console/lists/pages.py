"""Windows of lists: what was chosen is kept, so that the next window costs nothing but its rows."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from gpu_queue.console.keys import key_of, name_of, text_of
from gpu_queue.console.lists.choosing import SHOWN, choose, first_reason, ref_of, task_of
from gpu_queue.console.lists.facts import Facts, TaskFacts
from gpu_queue.console.lists.filters import Query, how_failed, parse
from gpu_queue.console.lists.groups import By, grouped
from gpu_queue.console.lists.labels import Label, Labels
from gpu_queue.console.lists.orders import Kind, Listed, Orders, Ref, Refs
from gpu_queue.console.lists.rows import row_of
from gpu_queue.console.models.tasks import GROUPS_MAX, Facet, GroupPage, Sort, StateFilter, TaskFilter, TaskPage
from gpu_queue.console.world.living import told_of
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import Presence, Snapshot
from gpu_queue.spool.snapshot.waiting import WaitingTask

KEPT_MAX = 16
REFS_MAX = 300_000
"""So many tasks are kept in lists, all of them together; the last list in any case."""
READ_S = 1.0
"""So long records are read to find what only they tell; then the reply says that it is a part."""
PAGE_S = 3.0
"""So long the files of a window's rows are read; the others come without what those tell."""
FACETS_MAX = 200
WHYS_READ = 1000
"""So many that wait, and so many that failed last, are counted by why."""


@dataclass(frozen=True)
class Chosen:
    """What a filter means in a snapshot."""

    seen: Snapshot
    refs: Refs
    is_partial: bool = False
    looked_at: int = 0


class TaskLists:
    """Lists of one spool's tasks.  It reads their files: for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._facts = TaskFacts(paths, clock)
        self._clock = clock
        self._orders = Orders()
        self._labels = Labels(paths, clock)
        self._kept: OrderedDict[object, Chosen] = OrderedDict()
        self._users: set[str] = set()
        self._told: tuple[object, list[Facet]] = (None, [])

    def page(
        self, seen: Snapshot, wanted: TaskFilter, sort: Sort, offset: int, limit: int, around: str = ""
    ) -> TaskPage:
        """A window.

        Args:
            seen: the spool.
            wanted: which tasks.
            sort: in which order.
            offset: of the first row.
            limit: the most rows.
            around: the key of a task: the window that holds it, in place of ``offset``.
        """
        chosen = self.chosen(seen, wanted, sort)
        if around:
            ref = _ref(chosen.seen, around)
            at = None if ref is None else chosen.refs.place(ref)
            offset = offset if at is None else max(0, at - limit // 2)
        rows, told, deadline = [], told_of(chosen.seen), self._clock() + PAGE_S
        default_gpus = _default_gpus(chosen.seen)
        for ref in chosen.refs[offset : offset + limit]:
            task = task_of(chosen.seen, ref)
            if task is None:
                continue
            if self._clock() < deadline:
                facts = self._facts.of(task, default_gpus)
            else:
                facts = self._facts.known(task) or Facts()
            if facts.user:
                self._users.add(text_of(facts.user))
            rows.append(
                row_of(task, facts, chosen.seen, told.get(task.name) if isinstance(task, WaitingTask) else None)
            )
        return TaskPage(
            offset=offset,
            limit=limit,
            total=len(chosen.refs),
            version=_version(chosen.seen, wanted),
            items=rows,
            queues=[
                Facet(value=text_of(one.queue), count=_count(one.pending, one.running))
                for one in chosen.seen.queues[:FACETS_MAX]
            ],
            nodes=[Facet(value=key_of(one.node)) for one in chosen.seen.nodes[:FACETS_MAX]],
            users=[Facet(value=user) for user in sorted(self._users | self._labels.users())[:FACETS_MAX]],
            whys=self._whys(chosen.seen, wanted.state),
            is_partial=chosen.is_partial,
            looked_at=chosen.looked_at,
        )

    def _whys(self, seen: Snapshot, state: StateFilter) -> list[Facet]:
        """Why tasks wait and how they failed, with how many: the commonest first."""
        mark = (state, seen.versions.waiting, seen.versions.failed, seen.versions.nodes)
        if self._told[0] != mark:
            counts: Counter[str] = Counter()
            if Kind.WAITING in SHOWN[state]:
                counts.update(first_reason(seen.waiting, at) for at in range(min(len(seen.waiting), WHYS_READ)))
            if Kind.FAILED in SHOWN[state]:
                ends = (one.ended for one in islice(seen.failed.with_ends(), WHYS_READ))
                counts.update(how_failed(one.outcome, one.error_type) for one in ends if one is not None)
            found = [(text_of(why), count) for why, count in counts.most_common(FACETS_MAX) if why]
            self._told = mark, [Facet(value=why, count=count) for why, count in found]
        return self._told[1]

    def keys(self, seen: Snapshot, wanted: TaskFilter) -> list[str]:
        """Keys of all tasks that a filter means now."""
        chosen = self.chosen(seen, wanted, "run")
        return [key for ref in chosen.refs if (key := _key(chosen.seen, ref))]

    def chosen(self, seen: Snapshot, wanted: TaskFilter, sort: Sort) -> Chosen:
        """What a filter means; the same as before where nothing of it has changed."""
        query = parse(wanted)
        since_s = self._since_s(seen, query)
        # What waits so and what runs so changes with the pages of nodes as well.
        of_nodes = seen.versions.nodes if query.whys or query.nodes or query.reason else 0
        mark = (wanted, sort, _version(seen, wanted), of_nodes, since_s)
        kept = self._kept.get(mark)
        if kept is not None and not kept.is_partial:
            self._kept.move_to_end(mark)
            return Chosen(seen, kept.refs, kept.is_partial, kept.looked_at)
        refs = choose(seen, wanted.state, query, sort, self._orders, since_s)
        found = self._read(seen, refs, query) if query.reads_records else Chosen(seen, refs)
        self._kept[mark] = found
        while len(self._kept) > 1 and (len(self._kept) > KEPT_MAX or self._count() > REFS_MAX):
            self._kept.popitem(last=False)
        return found

    def _since_s(self, seen: Snapshot, query: Query) -> float | None:
        """From when on tasks have to have ended, by the server's clock; by the minute, so that lists can be kept."""
        if query.ended_within_s is None or seen.clock is None:
            return None
        return (seen.clock.now_s(self._clock()) - query.ended_within_s) // 60 * 60

    def _count(self) -> int:
        return sum(one.refs.held for one in self._kept.values())

    def _read(self, seen: Snapshot, refs: Refs, query: Query) -> Chosen:
        deadline, default_gpus = self._clock() + READ_S, _default_gpus(seen)
        found: list[Ref] = []
        looked_at = 0
        for ref in refs:
            label = self._labels.of(seen, ref)
            if label is None:
                if self._clock() > deadline:
                    continue
                label = self._labels.read(seen, ref, default_gpus)
            looked_at += 1
            if _is_so(label, query):
                found.append(ref)
        return Chosen(seen, Listed(found), looked_at < len(refs), looked_at)

    def groups(self, seen: Snapshot, wanted: TaskFilter, by: By) -> GroupPage:
        """How many tasks of each group there are, as far as their records were read.

        Args:
            seen: the spool.
            wanted: which tasks.
            by: what they are grouped by.
        """
        chosen = self.chosen(seen, wanted, "run")
        unread = self._labels.fill(seen, chosen.refs, _default_gpus(seen), READ_S)
        found = grouped(seen, chosen.refs, lambda ref: self._labels.of(seen, ref), by, lambda ref: _key(seen, ref))
        return GroupPage(
            groups=found[:GROUPS_MAX],
            total=len(found),
            tasks=len(chosen.refs),
            unread=unread,
            version=_version(seen, wanted),
        )


def _is_so(label: Label, query: Query) -> bool:
    return (
        all(one == text_of(label.queue) for one in query.queues)
        and all(one == text_of(label.user) for one in query.users)
        and (not query.experiment or query.experiment == label.experiment)
        and (not query.batch or query.batch == key_of(label.batch))
        and (not query.without or not getattr(label, query.without))
    )


def _ref(seen: Snapshot, key: str) -> Ref | None:
    try:
        return ref_of(seen, name_of(key))
    except ValueError:
        return None


def _key(seen: Snapshot, ref: Ref) -> str:
    if isinstance(ref[1], str):
        return ref[1]
    task = task_of(seen, ref)
    return "" if task is None or isinstance(task, SettledTask) else key_of(task.task_id or task.name)


def _version(seen: Snapshot, wanted: TaskFilter) -> str:
    """Names what a list is made of."""
    parts = {
        Kind.WAITING: seen.versions.waiting,
        Kind.RUNNING: seen.versions.running,
        Kind.DONE: seen.versions.done,
        Kind.FAILED: seen.versions.failed,
    }
    return ".".join(f"{kind.value[0]}{parts[kind]}" for kind in SHOWN[wanted.state])


def _count(*counts: int | None) -> int | None:
    known = [one for one in counts if one is not None]
    return sum(known) if known else None


def _default_gpus(seen: Snapshot) -> int:
    alive = [one.page for one in seen.nodes if one.page is not None and one.presence is Presence.ALIVE]
    return alive[0].default_gpus if alive else 1
