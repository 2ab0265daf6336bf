"""Lists of a hundred thousand tasks in some order, without an object for each: what is settled is sorted once.

Pure but for what is kept: the keys that settled tasks are sorted by, from list to list.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import accumulate, chain, repeat
from typing import overload

from gpu_queue.console.models.tasks import Sort
from gpu_queue.spool.paths import title_of
from gpu_queue.spool.snapshot.settled import SettledTasks
from gpu_queue.task import DEFAULT_PRIORITY, State

END = "\0"
"""Stands behind a title: less than whatever a longer one has there."""


class Kind(str, Enum):
    """Where a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


Ref = tuple[Kind, int | str]
"""A task of a snapshot: its place among those that wait or run; of a settled one its id."""
Part = tuple[Kind, Sequence[int] | Sequence[str] | SettledTasks]
"""Tasks of one kind."""


class Refs(Sequence[Ref]):
    """Tasks in an order; they are made when they are asked for."""

    def _at(self, index: int) -> Ref:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Ref: ...
    @overload
    def __getitem__(self, index: slice) -> list[Ref]: ...
    def __getitem__(self, index: int | slice) -> Ref | list[Ref]:
        if isinstance(index, slice):
            return [self._at(at) for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        return self._at(at)

    @property
    def held(self) -> int:
        """For how many of them something is kept here."""
        raise NotImplementedError

    def place(self, ref: Ref) -> int | None:
        """Where a task stands; None: it is none of them."""
        return next((at for at, one in enumerate(self) if one == ref), None)


class Listed(Refs):
    """As somebody listed them."""

    def __init__(self, refs: Sequence[Ref]) -> None:
        self._refs = refs

    def __len__(self) -> int:
        return len(self._refs)

    def _at(self, index: int) -> Ref:
        return self._refs[index]

    @property
    def held(self) -> int:
        """For how many of them something is kept here."""
        return len(self._refs)


class InRunOrder(Refs):
    """Kind by kind."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._ends = [*accumulate(len(part) for _, part in parts)]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _at(self, index: int) -> Ref:
        number = bisect_right(self._ends, index)
        kind, part = self.parts[number]
        one = part[index - (self._ends[number - 1] if number else 0)]
        return kind, one if isinstance(one, (int, str)) else one.task_id

    def __iter__(self) -> Iterator[Ref]:
        return chain.from_iterable(
            zip(repeat(kind), part.ids_in_order() if isinstance(part, SettledTasks) else part)
            for kind, part in self.parts
        )

    @property
    def held(self) -> int:
        """For how many of them something is kept here."""
        return sum(len(part) for _, part in self.parts if isinstance(part, (list, tuple)))


class Sorted(Refs):
    """By keys of which each ends with its task's id, or is that of a task that waits or runs."""

    def __init__(
        self, keys: Sequence[str], live: Mapping[str, Ref], failed: SettledTasks, id_of: Callable[[str], str]
    ):
        self._keys = keys
        self._live = live
        self._failed = failed
        self._id_of = id_of

    def __len__(self) -> int:
        return len(self._keys)

    def _at(self, index: int) -> Ref:
        key = self._keys[index]
        live = self._live.get(key)
        if live is not None:
            return live
        task_id = self._id_of(key)
        return (Kind.DONE if self._failed.find(task_id) is None else Kind.FAILED), task_id

    @property
    def held(self) -> int:
        """For how many of them something is kept here."""
        return len(self._keys)

    def place(self, ref: Ref) -> int | None:
        """Where a task stands; None: it is none of them."""
        if isinstance(ref[1], str):
            task_id = ref[1]
            return next((at for at, key in enumerate(self._keys) if key.endswith(task_id)), None)
        key = next((key for key, one in self._live.items() if one == ref), None)
        return None if key is None else next((at for at, one in enumerate(self._keys) if one == key), None)


class Column:
    """The keys of one directory's settled tasks, ascending.  What is new is sorted in, all else is kept."""

    def __init__(self, key_of: Callable[[str, int], str]) -> None:
        """Nothing is sorted yet.

        Args:
            key_of: makes a key of an id and its priority.
        """
        self._key_of = key_of
        self._ids: tuple[str, ...] = ()
        self._priorities: Mapping[str, int] = {}
        self._keys: list[str] = []

    def of(self, tasks: SettledTasks) -> list[str]:
        """The keys of these; whoever gets them changes nothing."""
        ids, priorities = tasks.ids, tasks.priorities
        if ids is self._ids and priorities == self._priorities:
            return self._keys
        before, now, moved = set(self._ids), set(ids), set[str]()
        if priorities != self._priorities:
            moved = {one for one, _ in priorities.items() ^ self._priorities.items()}
        gone, new = (before - now) | (moved & before), (now - before) | (moved & now)
        keys = self._keys
        if gone:
            left = {self._key(one, self._priorities) for one in gone}
            keys = [one for one in keys if one not in left]
        # Of two sorted runs a sort is a merge.
        self._keys = sorted([*keys, *sorted(self._key(one, priorities) for one in new)])
        self._ids, self._priorities = ids, priorities
        return self._keys

    def _key(self, task_id: str, priorities: Mapping[str, int]) -> str:
        return self._key_of(task_id, priorities.get(task_id, DEFAULT_PRIORITY))


def key_of(sort: Sort, task_id: str, title: str, priority: int) -> str:
    """What a task is sorted by; ids begin with the moment of submission."""
    if sort == "title":
        return f"{title.lower()}{END}{task_id}"
    return f"{priority:03d}{task_id}" if sort == "priority" else task_id


def id_of(sort: Sort, key: str) -> str:
    """The id at the end of a key."""
    if sort == "title":
        return key.rpartition(END)[2]
    return key[3:] if sort == "priority" else key


class Orders:
    """The columns of one spool.  For one thread at a time."""

    def __init__(self) -> None:
        self._columns: dict[tuple[State, Sort], Column] = {}

    def keys(self, tasks: SettledTasks, sort: Sort, only: Sequence[str] | None = None) -> Sequence[str]:
        """The keys of settled tasks, ascending.

        Args:
            tasks: of one directory.
            sort: another one than ``run``.
            only: the ids of those that are wanted; None: all.
        """
        if sort in ("newest", "oldest"):
            return tasks.ids if only is None else sorted(only)
        if only is not None and len(only) * 4 < len(tasks):
            return sorted(key_of(sort, one, title_of(one), tasks.priority(one)) for one in only)
        at = tasks.state, sort
        if at not in self._columns:
            self._columns[at] = Column(lambda task_id, priority: key_of(sort, task_id, title_of(task_id), priority))
        keys = self._columns[at].of(tasks)
        if only is None or len(only) == len(tasks):
            return keys
        wanted = set(only)
        return [key for key in keys if id_of(sort, key) in wanted]
