"""What only the files of a task tell: read for the rows that somebody sees, and kept."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gpu_queue.console.lists.choosing import AnyTask
from gpu_queue.errors import BadScript
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files, records
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import RunningTask
from gpu_queue.task import Needs, State

KEPT_MAX = 20_000
WAITING_FRESH_S = 30.0
"""A script that waits may still be edited."""


@dataclass(frozen=True)
class Facts:
    """What its record, script and index of tries tell; None: they cannot be read."""

    user: str | None = None
    title: str = ""
    """As its submitter called it; empty: as its id does."""
    needs: Needs | None = None
    tries: int | None = None
    experiment: str = ""


class TaskFacts:
    """Reads them; for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._clock = clock
        self._kept: OrderedDict[str, tuple[object, Facts]] = OrderedDict()

    def known(self, task: AnyTask) -> Facts | None:
        """What was read of a task before, where that still holds."""
        kept = self._kept.get(task.task_id or task.name)
        return kept[1] if kept is not None and kept[0] == self._mark(task) else None

    def of(self, task: AnyTask, default_gpus: int) -> Facts:
        """What the files of a task tell; never fails for what lies there.

        Args:
            task: where it was seen.
            default_gpus: of a script that says nothing.
        """
        found = self.known(task)
        if found is None:
            found = self._read(task, default_gpus)
            key = task.task_id or task.name
            self._kept[key] = self._mark(task), found
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return found

    def _mark(self, task: AnyTask) -> object:
        if isinstance(task, SettledTask):
            return task.state, task.ended
        if isinstance(task, RunningTask):
            return task.name
        return task.name, self._clock() // WAITING_FRESH_S

    def _read(self, task: AnyTask, default_gpus: int) -> Facts:
        task_id = task.task_id
        submission = None
        try:
            submission = None if task_id is None else records.read_submission(self._paths, task_id, None)
        except (OSError, ValueError, RecursionError):
            pass
        tries = None
        try:
            tries = len(records.read_tries(self._paths, task_id)) if task_id is not None else 0
        except (OSError, ValueError, RecursionError, files.FileProblem):
            pass
        if tries is not None and isinstance(task, RunningTask):
            tries = max(tries, task.claim.number)
        if tries == 0 and isinstance(task, SettledTask) and task.ended is not None and task.ended.claim is not None:
            tries = task.ended.claim.number  # a first try that succeeded has no index
        needs = None
        try:
            head, _ = files.read_regular(f"{self._directory(task)}/{task.name}", HEAD_BYTES)
            given, arguments = (submission.needs, submission.arguments) if submission is not None else ({}, ())
            needs = read_needs(head, given, default_gpus, arguments, task_id or task.name)
        except (OSError, files.FileProblem, BadScript, ValueError, RecursionError):
            pass
        if submission is None:
            return Facts(None, "", needs, tries)
        group = "" if submission.experiment is None else submission.experiment.group
        return Facts(submission.user or None, submission.name, needs, tries, group)

    def _directory(self, task: AnyTask) -> str:
        if isinstance(task, RunningTask):
            return self._paths.running(task.node)
        return self._paths.directory(task.state if isinstance(task, SettledTask) else State.PENDING)
