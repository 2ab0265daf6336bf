"""Whose tasks are and in which queue they ran, by their records and scripts: read once, the weightiest first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gpu_queue.console.keys import text_of
from gpu_queue.scripts.asked import head_of
from gpu_queue.scripts.directives import BadLine, gpuq_options, queue_name
from gpu_queue.scripts.lexing import decoded
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.snapshot.settled import SettledTask
from gpu_queue.spool.snapshot.view import RunningTask, Snapshot
from gpu_queue.task import State

KEPT_MAX = 100_000
READ_S = 1.5
HEAD_BYTES = 16 << 10
"""Of a script, whose directives stand at its beginning."""


class Owner(NamedTuple):
    """Of a task; empty: nobody tells."""

    user: str = ""
    queue: str = ""


class Owners:
    """Reads them; for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._clock = clock
        self._kept: OrderedDict[str, Owner] = OrderedDict()

    def of(self, seen: Snapshot, ids: Iterable[str], limit_s: float = READ_S) -> dict[str, Owner]:
        """The owners of tasks; those for which there was no time are not among them: whoever asks again gets more.

        Args:
            seen: where the tasks are now.
            ids: of them, in the order in which they are wanted.
            limit_s: so long files are read.
        """
        deadline, found = self._clock() + limit_s, {}
        for one in ids:
            owner = self._kept.get(one)
            if owner is None:
                if self._clock() > deadline:
                    continue
                owner = self._kept[one] = self._read(seen, one)
            found[one] = owner
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    def _read(self, seen: Snapshot, task_id: str) -> Owner:
        try:
            said = read_submission(self._paths, task_id, None)
        except (OSError, ValueError, RecursionError):
            return Owner()
        given = said.needs.get("queue")
        queue = given if isinstance(given, str) else self._of_script(seen, task_id)
        return Owner(text_of(said.user, 200), text_of(queue, 200))

    def _of_script(self, seen: Snapshot, task_id: str) -> str:
        task = seen.find(task_id)
        if isinstance(task, RunningTask):
            directory = self._paths.running(task.node)
        elif task is not None:
            directory = self._paths.directory(task.state if isinstance(task, SettledTask) else State.PENDING)
        else:
            return ""
        try:
            script, _ = files.read_regular(f"{directory}/{task.name}", HEAD_BYTES)
            said = gpuq_options(head_of(decoded(script).split("\n"))).get("queue")  # nothing else names a queue
            return "" if said is None else queue_name(said.value)
        except (OSError, files.FileProblem, BadLine, ValueError):
            return ""
