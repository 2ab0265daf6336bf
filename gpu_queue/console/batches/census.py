"""Which tasks belong to which batch, by their records: read once each, the newest first.  It reads shared storage."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gpu_queue.errors import SpoolError
from gpu_queue.experiments.known import Member
from gpu_queue.spool import files
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission, read_tries
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.task import BatchPart, ExperimentPart, State, Submission, was_put_away

READ_S = 1.0
EXPERIMENT, COMMANDS = "experiment", "commands"
KEY_LENGTH = 12


def key_of_group(group: str) -> str:
    """What a group of experiment files is asked for by: also of a name that no address can hold."""
    return _key(EXPERIMENT, group)


def key_of_file(file: str) -> str:
    """The same of a command file, by its path."""
    return _key(COMMANDS, file)


def _key(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}\0{name}".encode("utf-8", "surrogateescape")).hexdigest()[:KEY_LENGTH]


def as_part(submission: Submission, batch: BatchPart) -> ExperimentPart:
    """A block of a command file, as if it were a run of an experiment: so both are told alike."""
    return ExperimentPart(
        file=batch.file,
        group=batch.file,
        job=batch.mode,
        name=submission.name or f"{batch.position + 1}",
        content=batch.content,
    )


@dataclass
class Batch:
    """One of them."""

    key: str
    kind: str
    name: str
    """Of the group, or of the file without its directories."""
    members: dict[str, Submission] = field(default_factory=dict)
    """By id; all have an ``experiment``, also blocks of command files (:func:`as_part`)."""

    @property
    def files(self) -> list[str]:
        """That its tasks were loaded from."""
        parts = (one.experiment for one in self.members.values())
        return list(dict.fromkeys(part.file for part in parts if part is not None))


@dataclass
class Census:
    """Of one spool; for one thread at a time."""

    paths: SpoolPaths
    clock: Callable[[], float] = time.monotonic
    batches: dict[str, Batch] = field(default_factory=dict)
    """By key."""
    _of: dict[str, str] = field(default_factory=dict)
    """The key of each task's batch, by id; empty: it is in none."""
    _put_away: dict[str, bool] = field(default_factory=dict)
    """Whether a task in failed/ was put there by a person, by id; forgotten when it leaves."""

    def read(self, seen: Snapshot, limit_s: float = READ_S) -> int:
        """Read the records of tasks that were not read before; of how many there was no time.

        Args:
            seen: the spool.
            limit_s: so long records are read.
        """
        there = {*_ids(seen)}
        for gone in self._of.keys() - there:
            self._forget(gone)
        unread = sorted(there - self._of.keys(), reverse=True)
        deadline = self.clock() + limit_s
        for number, task_id in enumerate(unread):
            if self.clock() > deadline:
                return len(unread) - number
            self._take(task_id)
        return 0

    def key(self, task_id: str) -> str:
        """The batch of a task; empty: none, or it was not read yet."""
        return self._of.get(task_id, "")

    def _forget(self, task_id: str) -> None:
        batch = self.batches.get(self._of.pop(task_id))
        self._put_away.pop(task_id, None)
        if batch is not None:
            batch.members.pop(task_id, None)
            if not batch.members:
                del self.batches[batch.key]

    def _take(self, task_id: str) -> None:
        try:
            said = read_submission(self.paths, task_id, None)
        except (OSError, ValueError, RecursionError):
            return  # it is asked again
        part, batch = said.experiment, said.batch
        if part is not None:
            key, kind, name = key_of_group(part.group), EXPERIMENT, part.group
        elif batch is not None:
            key, kind, name = key_of_file(batch.file), COMMANDS, os.path.basename(batch.file)
            said = replace(said, experiment=as_part(said, batch))
        else:
            self._of[task_id] = ""
            return
        self._of[task_id] = key
        self.batches.setdefault(key, Batch(key, kind, name)).members[task_id] = said

    def members(self, batch: Batch, seen: Snapshot) -> list[Member]:
        """The tasks of a batch that are somewhere now, in the order of their submission.

        Args:
            batch: of these.
            seen: the spool, as it was when it was read.

        Raises:
            SpoolError: the storage failed.
        """
        running = {one.task_id: one for one in seen.running}
        found = []
        for task_id, said in sorted(batch.members.items()):
            task = _found(seen, running, task_id)
            if task is not None and said.experiment is not None:
                was_cancelled = task.state is State.FAILED and self._was_put_away(task_id)
                found.append(Member(task_id, said.experiment, task, said, was_cancelled))
            if task is None or task.state is not State.FAILED:
                self._put_away.pop(task_id, None)
        return found

    def _was_put_away(self, task_id: str) -> bool:
        known = self._put_away.get(task_id)
        if known is None:
            try:
                known = was_put_away(read_tries(self.paths, task_id))
            except (OSError, files.FileProblem) as error:
                raise SpoolError(f"{self.paths.tries_index(task_id)}: {error}; try again") from error
            self._put_away[task_id] = known
        return known


def _ids(seen: Snapshot) -> Iterator[str]:
    yield from (one.task_id for one in seen.waiting if one.task_id is not None)
    yield from (one.task_id for one in seen.running)
    yield from seen.failed.ids_in_order()
    yield from seen.done.ids_in_order()


def _found(seen: Snapshot, running: dict[str, RunningTask], task_id: str) -> Task | None:
    place = seen.waiting.place(task_id)
    if place is not None:
        return Task(State.PENDING, seen.waiting[place].name)
    live = running.get(task_id)
    if live is not None:
        return Task(State.RUNNING, live.name, live.node)
    settled: SettledTask | None = seen.failed.find(task_id) or seen.done.find(task_id)
    return None if settled is None else Task(settled.state, settled.name)
