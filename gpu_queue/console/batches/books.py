"""What a console knows of the batches of its queues: each queue's in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from gpu_queue.console.batches.census import COMMANDS, Batch, Census
from gpu_queue.console.batches.expecting import expected
from gpu_queue.console.batches.figuring import Figured, Figuring
from gpu_queue.console.batches.telling import detail_of, summary_of
from gpu_queue.console.keys import name_of
from gpu_queue.console.models.batches import BATCHES_MAX, BatchDetail, BatchList, BatchPlace
from gpu_queue.console.world.looking import Seen
from gpu_queue.console.world.storage import Lane
from gpu_queue.console.world.world import World
from gpu_queue.experiments.known import Member, current
from gpu_queue.experiments.progress.model import pace_of
from gpu_queue.experiments.progress.nouns import Pace
from gpu_queue.experiments.reporting.exports import as_csv
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State

T = TypeVar("T")
CALL_S = 30.0
KEPT_MAX = 8
"""Queues."""
FINDS_S = 5.0
"""So long records are read until the one batch that is asked for is found."""


class NoSuchBatch(LookupError):
    """None of the tasks is of it."""


@dataclass
class Batches:
    """Of one spool; for one thread at a time."""

    paths: SpoolPaths
    census: Census = field(init=False)
    figuring: Figuring = field(init=False)
    _paces: dict[str, Pace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.census, self.figuring = Census(self.paths), Figuring(self.paths)

    def all(self, seen: Seen) -> BatchList:
        """All of them, as far as records were read."""
        snapshot = seen.snapshot
        unread = self.census.read(snapshot)
        newest = sorted(self.census.batches.values(), key=lambda one: max(one.members), reverse=True)
        told = [summary_of(one, self.census.members(one, snapshot)) for one in newest[:BATCHES_MAX]]
        return BatchList(batches=[one for one in told if one.runs], unread=unread)

    def place(self, seen: Seen, task_id: str) -> BatchPlace:
        """Where a task stands in its batch."""
        unread = self.census.read(seen.snapshot)
        batch = self.census.batches.get(self.census.key(task_id))
        if batch is None:
            return BatchPlace(batch=None, unread=unread)
        members = self.census.members(batch, seen.snapshot)
        counted = current(members)
        own = next((one for one in members if one.id == task_id), None)
        runs = [(one.part.file, one.part.name) for one in counted]
        number = None if own is None else runs.index((own.part.file, own.part.name)) + 1
        return BatchPlace(
            batch=summary_of(batch, members),
            number=number,
            is_superseded=all(one.id != task_id for one in counted),
            unread=unread,
        )

    def detail(self, seen: Seen, key: str) -> BatchDetail:
        """One of them in full.

        Raises:
            NoSuchBatch: there is none.
            SpoolError: the storage failed.
        """
        batch, members, figured = self._figured(seen, key)
        snapshot = seen.snapshot
        places = ((one.id, snapshot.waiting.place(one.id)) for one in members if one.state is State.PENDING)
        order = {task_id: place for task_id, place in places if place is not None}
        running = sum(one.state is State.RUNNING for one in members)
        now_s = figured.report.now_s
        pace = self._paces[key] = pace_of(running, now_s, self._paces.get(key, Pace()))
        runs = [run for group in figured.report.groups for run in group.runs]
        rest = None if figured.unread else expected(runs, batch.kind, order, pace.runs, now_s)
        return detail_of(batch, members, figured, rest)

    def csv(self, seen: Seen, key: str) -> tuple[str, bytes]:
        """Its name, and the table that ``gpu-queue report --csv`` gives.

        Raises:
            NoSuchBatch: there is none.
            SpoolError: the storage failed.
        """
        batch, _, figured = self._figured(seen, key)
        return batch.name, as_csv(figured.report)

    def _figured(self, seen: Seen, key: str) -> tuple[Batch, list[Member], Figured]:
        self.census.read(seen.snapshot, FINDS_S if key not in self.census.batches else 0.5)
        batch = self.census.batches.get(key)
        if batch is None:
            raise NoSuchBatch(key)
        members = self.census.members(batch, seen.snapshot)
        if batch.kind == COMMANDS:
            members = self.figuring.with_commands(members)
        return batch, members, self.figuring.of(members, seen.now_s)


class BatchBooks:
    """All queues'.  For the event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Batches, Lane]] = {}

    async def ask(self, world: World, question: Callable[[Batches, Seen], T]) -> T:
        """Ask something of a queue's batches.

        Args:
            world: the queue.
            question: is asked in a thread.

        Raises:
            StorageSilent: the storage has not answered.
            SpoolError: it failed.
        """
        seen = await world.latest()
        kept = self._kept.pop(world.paths.root, None) or (Batches(world.paths), Lane(f"{world.job} batches"))
        self._kept[world.paths.root] = kept
        while len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        batches, lane = kept
        return await lane.within(CALL_S, lambda: question(batches, seen), "the records of batches")


def task_id_of(key: str) -> str:
    """The id that the key of a task means."""
    try:
        return name_of(key)
    except ValueError:
        return key
