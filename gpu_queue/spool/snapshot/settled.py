"""Settled tasks, a hundred thousand of them: kept as names, made into objects when somebody looks.  Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq
from typing import overload

from gpu_queue.spool.events import Event
from gpu_queue.spool.paths import full_name, parse_many, submitted_s, title_of
from gpu_queue.task import DEFAULT_PRIORITY, State


@dataclass(frozen=True)
class SettledTask:
    """A task in done/ or failed/."""

    state: State
    task_id: str
    priority: int
    ended: Event | None = None
    """How its last try ended, and when, as far back as the nodes' histories were read."""

    @property
    def name(self) -> str:
        """In its directory."""
        return full_name(self.priority, self.task_id)

    @property
    def title(self) -> str:
        """The script's name, as the id carries it."""
        return title_of(self.task_id)

    @property
    def submitted_s(self) -> float | None:
        """Epoch seconds by the submitter's clock."""
        return submitted_s(self.task_id)


@dataclass(frozen=True)
class SettledNames:
    """What one directory of settled tasks holds."""

    ids: tuple[str, ...] = ()
    """Ascending: in the order of submission."""
    priorities: Mapping[str, int] = field(default_factory=dict)
    """Of those that have another than the default."""

    @classmethod
    def of(cls, names: Iterable[str]) -> SettledNames:
        """From a listing; a task that has two names there counts once."""
        ids, priorities = parse_many(names)
        if any(map(eq, ids, islice(ids, 1, None))):
            ids = sorted(set(ids))
        return cls(tuple(ids), priorities)

    def position(self, task_id: str) -> int | None:
        """Where a task stands among the ids; None: it is not there."""
        at = bisect_left(self.ids, task_id)
        return at if at < len(self.ids) and self.ids[at] == task_id else None

    def priority(self, task_id: str) -> int:
        """The priority of a task that is there."""
        return self.priorities.get(task_id, DEFAULT_PRIORITY)

    def changed(self, added: Mapping[str, int], removed: Iterable[str]) -> SettledNames:
        """The same with some more (ids with their priorities) and without some."""
        new = [one for one in added if self.position(one) is None]
        gone = {one for one in removed if self.position(one) is not None}
        if not new and not gone:
            return self
        kept = [one for one in self.ids if one not in gone] if gone else list(self.ids)
        strange = {one: added[one] for one in new if added[one] != DEFAULT_PRIORITY}
        # A tail that is appended to what is sorted costs next to nothing to sort in.
        return SettledNames(tuple(sorted(kept + sorted(new))), {**self.priorities, **strange})


class SettledTasks(Sequence[SettledTask]):
    """The tasks in done/ or failed/: first those whose end is known, the newest end first, then by submission.

    A task is made when it is asked for, so that a hundred thousand of them cost their names.

    >>> tasks = SettledTasks(State.DONE, SettledNames.of(["500-20260101T000000000-0a0a0a-a.sh"]))
    >>> len(tasks), tasks[0].title, [task.priority for task in tasks[:50]]
    (1, 'a.sh', [500])
    """

    def __init__(
        self, state: State, names: SettledNames, recent: Sequence[Event] = (), *, is_cut: bool = False
    ) -> None:
        self.state = state
        self.is_cut = is_cut
        """There are more of them than are kept here."""
        self._names = names
        found = [
            (event, at)
            for event in recent
            if event.claim is not None and (at := names.position(event.claim.task_id)) is not None
        ]
        self._recent = tuple(event for event, _ in found)
        self._ends = {event.claim.task_id: event for event in self._recent if event.claim is not None}
        # How many of the others come before each of them, counted from the newest id.
        backwards = sorted(len(names.ids) - 1 - at for _, at in found)
        self._gaps = [at - number for number, at in enumerate(backwards)]

    def __len__(self) -> int:
        return len(self._names.ids)

    @overload
    def __getitem__(self, index: int) -> SettledTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[SettledTask]: ...
    def __getitem__(self, index: int | slice) -> SettledTask | list[SettledTask]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        if at < len(self._recent):
            claim = self._recent[at].claim
            assert claim is not None
            return self._make(claim.task_id)
        at -= len(self._recent)
        return self._make(self._names.ids[len(self) - 1 - at - bisect_right(self._gaps, at)])

    def _make(self, task_id: str) -> SettledTask:
        return SettledTask(self.state, task_id, self._names.priority(task_id), self._ends.get(task_id))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all, ascending: in the order of submission."""
        return self._names.ids

    @property
    def priorities(self) -> Mapping[str, int]:
        """Of those that have another priority than the default."""
        return self._names.priorities

    def in_order(self, ids: Sequence[str]) -> list[str]:
        """Some of them in this order.

        Args:
            ids: theirs, ascending.
        """
        wanted = set(ids)
        recent = [one for one in self._ends if one in wanted]
        return [*recent, *(one for one in reversed(ids) if one not in self._ends)]

    def ids_in_order(self) -> Iterator[str]:
        """The ids of all, in this order, without a task being made of each."""
        for event in self._recent:
            assert event.claim is not None
            yield event.claim.task_id
        yield from (one for one in reversed(self._names.ids) if one not in self._ends)

    def with_ends(self) -> Iterator[SettledTask]:
        """Those whose end is known, the newest first."""
        for event in self._recent:
            assert event.claim is not None
            yield self._make(event.claim.task_id)

    def priority(self, task_id: str) -> int:
        """The priority of a task that is here."""
        return self._names.priority(task_id)

    def find(self, task_id: str) -> SettledTask | None:
        """A task by its id; None: it is not here."""
        return None if self._names.position(task_id) is None else self._make(task_id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SettledTasks):
            return NotImplemented
        return self is other or (
            (self.state, self.is_cut, self._recent) == (other.state, other.is_cut, other._recent)
            and self._names.ids == other._names.ids
            and all(self._names.priority(one) == other._names.priority(one) for one in self._strange(other))
        )

    def _strange(self, other: SettledTasks) -> set[str]:
        return {*self._names.priorities, *other._names.priorities} & {*self._names.ids}

    def __repr__(self) -> str:
        return f"<{len(self)} tasks in {self.state.value}>"
