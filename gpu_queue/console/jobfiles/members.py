"""Which tasks that wait or run were made of which file, by their records, which never change and are read once."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gpu_queue.console.schedulers.origins import Live
from gpu_queue.experiments.commandfiles.batches import stem_of
from gpu_queue.spool.paths import SpoolPaths, safe_name
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.snapshot.view import Snapshot

KEPT_MAX = 100_000
READ_S = 8.0


class Unread(RuntimeError):
    """There was no time to read all records: nobody knows yet which tasks are meant."""


@dataclass(frozen=True)
class Source:
    """What a task was made of; empty: of no file."""

    file: str = ""
    mode: str = ""
    """``single``, ``multi``; of an experiment file ``yaml``."""
    index: int = 0
    position: int = field(default=-1, compare=False)
    """Of its block in the file; -1: of an experiment file, which knows its tasks by their names."""
    name: str = field(default="", compare=False)
    """Of its run in an experiment file."""


class Members:
    """Reads them; for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._clock = clock
        self._kept: OrderedDict[str, Source] = OrderedDict()

    def of_file(self, seen: Snapshot, path: str, *, is_experiment: bool) -> list[str]:
        """Ids of what waits or runs and was made of a file, what runs first.

        Args:
            seen: the spool.
            path: of the file, without links.
            is_experiment: else it is a command file, whose tasks are called after it.

        Raises:
            Unread: there was no time.
            OSError: a record cannot be read.
        """
        begins = "" if is_experiment else safe_name(os.fsencode(f"{stem_of(path)}-"))
        tasks = (one for one in live(seen) if one.task_id is not None and one.task_id[26:].startswith(begins))
        return [one for one, source in self.sources(tasks).items() if source.file == path]

    def sources(self, tasks: Iterable[Live]) -> dict[str, Source]:
        """What each was made of, by its id.

        Raises:
            Unread, OSError: as in :meth:`of_file`.
        """
        deadline = self._clock() + READ_S
        found = {}
        for task in tasks:
            if task.task_id is None:
                continue
            source = self._kept.get(task.task_id)
            if source is None:
                if self._clock() > deadline:
                    raise Unread("there was no time to read the records of all tasks; try again, and it goes on")
                source = self._kept[task.task_id] = self._read(task.task_id)
            found[task.task_id] = source
        while len(self._kept) > max(KEPT_MAX, 2 * len(found)):
            self._kept.popitem(last=False)
        return found

    def _read(self, task_id: str) -> Source:
        try:
            said = read_submission(self._paths, task_id, None)
        except (ValueError, RecursionError):
            return Source()
        if said.batch is not None:
            return Source(said.batch.file, said.batch.mode, said.batch.index, said.batch.position)
        part = said.experiment
        return Source(part.file, "yaml", name=part.name) if part is not None else Source()


def live(seen: Snapshot) -> list[Live]:
    """What runs, then what waits."""
    return [*seen.running, *seen.waiting]
