"""Waiting tasks, ten thousand of them: kept as names, made into objects when somebody looks.  Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.spool.paths import submitted_s
from gpu_queue.spool.snapshot.places import PendingName
from gpu_queue.words import in_words

_IGNORED = frozenset({Code.NOT_A_FILE, Code.OURS, Code.OWNER})


@dataclass(frozen=True)
class NodeReason:
    """Why a task does not start on a node; the empty name stands for all of them."""

    node: str
    reason: Reason

    def __str__(self) -> str:
        """In words, with the node in front."""
        return f"{self.node}: {in_words(self.reason)}" if self.node else in_words(self.reason)


@dataclass(frozen=True)
class WaitingTask:
    """A task in pending/."""

    name: str
    """In pending/."""
    task_id: str | None
    """None for a hand drop, and for a copy of a task that runs or is settled: whoever claims it gives it one."""
    priority: int
    title: str
    submitted_s: float | None
    """Epoch seconds: by the submitter's clock; of a hand drop when it came, by the server's."""
    reasons: tuple[NodeReason, ...]
    """Why it waits; empty: no node said anything about it (yet)."""


class WaitingTasks(Sequence[WaitingTask]):
    """What waits, in run order; tasks are made when they are asked for.

    A name that is no file to run, or a stranger's, stands here too, with its reason; ``ignored`` counts those.
    """

    def __init__(
        self,
        names: tuple[PendingName, ...],
        reasons: Mapping[str, tuple[NodeReason, ...]],
        common: tuple[NodeReason, ...] = (),
        *,
        copies: frozenset[str] = frozenset(),
        skipped: int = 0,
        is_cut: bool = False,
    ) -> None:
        self.skipped = skipped
        """Names that are never run: dot-files, what editors and copiers write."""
        self.is_cut = is_cut
        """There are more names in pending/ than are kept here."""
        self._names = names
        self._reasons = reasons
        self._common = common
        self._copies = copies
        self._places: dict[str, int] | None = None
        ignored = {one.name for one in names if one.unready is not None}
        told = {name for name, why in reasons.items() if any(one.reason.code in _IGNORED for one in why)}
        self.ignored = len(ignored | told)
        """Names that no agent will run as they are."""

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> WaitingTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[WaitingTask]: ...
    def __getitem__(self, index: int | slice) -> WaitingTask | list[WaitingTask]:
        if isinstance(index, slice):
            return [self._make(one) for one in self._names[index]]
        return self._make(self._names[index])

    def named(self) -> Iterator[tuple[str, str]]:
        """Title, and id or name, of each, without a task being made of it."""
        return ((one.title, one.task_id or one.name) for one in self._names)

    def reasons(self, place: int) -> tuple[NodeReason, ...]:
        """Why the task at a place waits, without a task being made of it."""
        return self._why(self._names[place])

    def _make(self, one: PendingName) -> WaitingTask:
        moment = one.came_s if one.task_id is None else submitted_s(one.task_id)
        whose = None if one.name in self._copies else one.task_id
        return WaitingTask(one.name, whose, one.priority, one.title, moment, self._why(one))

    def _why(self, one: PendingName) -> tuple[NodeReason, ...]:
        why = self._reasons.get(one.name, self._common)
        if one.name in self._copies:
            why = (NodeReason("", reason(Code.SETTLING, copy=1)), *why)
        if one.unready is not None:
            why = (NodeReason("", one.unready), *why)
        return why

    def place(self, which: str) -> int | None:
        """Where a task stands in the run order, from 0, by its id or its name; None: it does not wait."""
        if self._places is None:
            self._places = {}
            for at, one in enumerate(self._names):
                self._places[one.name] = at
                if one.task_id is not None and one.name not in self._copies:
                    self._places[one.task_id] = at
        return self._places.get(which)

    def places_with(self, priorities: Mapping[str, int]) -> dict[str, int]:
        """Where tasks would stand in the run order, from 0, if their priorities were others.

        Args:
            priorities: the new ones, by id or name; those that do not wait are passed over.
        """
        moved = {place: which for which in priorities if (place := self.place(which)) is not None}
        others = [(one.key, one.name) for at, one in enumerate(self._names) if at not in moved]
        found = {}
        keyed = []
        for place, which in moved.items():
            one = self._names[place]
            key = f"{priorities[which]:03d}{one.key[3:]}"
            keyed.append((key, key if one.task_id is not None else one.name, which))
        for at, (key, name, which) in enumerate(sorted(keyed)):
            found[which] = at + bisect_left(others, (key, name))
        return found

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WaitingTasks):
            return NotImplemented
        return self is other or self._all() == other._all()

    def _all(self) -> tuple[object, ...]:
        return self.skipped, self.is_cut, self._copies, self._common, self._names, self._reasons

    def __repr__(self) -> str:
        return f"<{len(self)} tasks wait>"
