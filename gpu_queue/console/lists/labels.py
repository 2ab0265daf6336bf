"""What tasks are filtered and grouped by, and only their records tell: read once each, and kept for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpu_queue.console.keys import text_of
from gpu_queue.console.lists.choosing import task_of
from gpu_queue.console.lists.orders import Kind, Ref
from gpu_queue.errors import BadScript
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files, records
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.task import BatchPart, State, Submission

KEPT_MAX = 500_000
WAITING_FRESH_S = 600.0
"""The script of a task that waits may still be edited."""


@dataclass(frozen=True)
class Label:
    """Of one task."""

    queue: str = ""
    """Empty: of none, or its script cannot be read."""
    user: str = ""
    experiment: str = ""
    """The group of an experiment file."""
    batch: str = ""
    """The command file it was loaded from (:func:`batch_key`)."""


def batch_key(part: BatchPart | None) -> str:
    """What names a configuration: mode, number and file."""
    return "" if part is None else f"{part.mode}:{part.index}:{part.file}"


class Labels:
    """All that were read of one spool.  It reads files: for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._clock = clock
        self._kept: dict[str, Label] = {}
        self._same: dict[Label, Label] = {}
        """Most tasks have one of a few."""
        self._waited: dict[str, float] = {}
        """Of those that waited when they were read, when that was."""

    def of(self, seen: Snapshot, ref: Ref) -> Label | None:
        """The label of a task, if it was read and still holds; None: it has to be."""
        kind, which = ref
        if kind in (Kind.DONE, Kind.FAILED):
            return self._kept.get(str(which)) if which not in self._waited else None
        task = task_of(seen, ref)
        name = "" if task is None else task.task_id or task.name
        read_at_s = self._waited.get(name)
        if read_at_s is not None and (kind is not Kind.WAITING or self._clock() - read_at_s >= WAITING_FRESH_S):
            return None
        return self._kept.get(name)

    def read(self, seen: Snapshot, ref: Ref, default_gpus: int) -> Label:
        """The label of a task; its files are read if they have to be.  Never fails for what lies there."""
        known = self.of(seen, ref)
        task = task_of(seen, ref)
        if known is not None or task is None:
            return known or Label()
        if isinstance(task, SettledTask):
            directory = self._paths.directory(task.state)
        elif isinstance(task, RunningTask):
            directory = self._paths.running(task.node)
        else:
            directory = self._paths.directory(State.PENDING)
        name = task.task_id or task.name
        label = self._read(task.task_id, name, f"{directory}/{task.name}", default_gpus)
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[name] = self._same.setdefault(label, label)
        if ref[0] is Kind.WAITING:
            self._waited[name] = self._clock()
        else:
            self._waited.pop(name, None)
        return label

    def users(self) -> set[str]:
        """Who submitted the tasks that were read."""
        return {text_of(one.user) for one in self._same if one.user}

    def fill(self, seen: Snapshot, refs: Iterable[Ref], default_gpus: int, limit_s: float) -> int:
        """Read those that were not read yet, for so long; how many are left.

        Args:
            seen: the spool.
            refs: the tasks.
            default_gpus: of a script that says nothing.
            limit_s: whoever asks again gets more.
        """
        deadline, left = self._clock() + limit_s, 0
        for ref in refs:
            if self.of(seen, ref) is not None:
                continue
            if self._clock() > deadline:
                left += 1
            else:
                self.read(seen, ref, default_gpus)
        return left

    def _read(self, task_id: str | None, name: str, path: str, default_gpus: int) -> Label:
        said = Submission("")
        try:
            if task_id is not None:
                said = records.read_submission(self._paths, task_id, None)
        except (OSError, ValueError, RecursionError):
            pass
        queue = said.needs.get("queue")
        if not isinstance(queue, str):
            queue = ""
            try:
                head, _ = files.read_regular(path, HEAD_BYTES)
                queue = read_needs(head, said.needs, default_gpus, said.arguments, name).queue or ""
            except (OSError, files.FileProblem, BadScript, ValueError, RecursionError):
                pass
        group = "" if said.experiment is None else said.experiment.group
        return Label(queue, said.user, group, batch_key(said.batch))
