"""Where tasks come from and what they ask for, by their records and scripts, which are read once."""

from __future__ import annotations

import shlex
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gpu_queue.errors import BadScript
from gpu_queue.scripts.reader import HEAD_BYTES, read_needs
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission
from gpu_queue.spool.snapshot.view import RunningTask
from gpu_queue.spool.snapshot.waiting import WaitingTask
from gpu_queue.task import BatchPart, Needs, State, Submission

KEPT_MAX = 5000
READ_S = 3.0
COMMAND_MAX = 4000
Live = WaitingTask | RunningTask


@dataclass(frozen=True)
class Origin:
    """What the files of a task tell."""

    batch: BatchPart | None = None
    """Which block of a command file it is; None: of none."""
    name: str = ""
    needs: Needs | None = None
    """None: nobody can tell."""
    command: str = ""
    """The first line of its script that does something."""


class Origins:
    """Reads them; for one thread at a time."""

    def __init__(self, paths: SpoolPaths, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._paths = paths
        self._clock = clock
        self._kept: OrderedDict[str, Origin] = OrderedDict()

    def of(self, tasks: Iterable[Live], default_gpus: int, limit_s: float = READ_S) -> dict[str, Origin]:
        """What is known of tasks, by their names; those for which there was no time are not among them.

        Args:
            tasks: in the order in which they are wanted.
            default_gpus: of a script that says nothing.
            limit_s: so long files are read; whoever asks again gets more.
        """
        deadline = self._clock() + limit_s
        found = {}
        for task in tasks:
            key = task.task_id or task.name
            origin = self._kept.get(key)
            if origin is None:
                if self._clock() > deadline:
                    continue
                origin = self._read(task, default_gpus)
                if task.task_id is not None:  # a hand drop may still be written
                    self._kept[key] = origin
            found[task.name] = origin
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return found

    def _read(self, task: Live, default_gpus: int) -> Origin:
        said = Submission("")
        try:
            if task.task_id is not None:
                said = read_submission(self._paths, task.task_id, None)
            if isinstance(task, RunningTask):
                path = f"{self._paths.running(task.node)}/{task.name}"
            else:
                path = f"{self._paths.directory(State.PENDING)}/{task.name}"
            head, _ = files.read_regular(path, HEAD_BYTES)
        except (OSError, ValueError, RecursionError, files.FileProblem):
            return Origin(said.batch, said.name)
        try:
            needs: Needs | None = read_needs(
                head, said.needs, default_gpus, said.arguments, task.task_id or task.name
            )
        except BadScript:
            needs = None
        return Origin(said.batch, said.name, needs, command_of(head))


def command_of(head: bytes) -> str:
    r"""The first line of a script that is no comment, and sets nothing alone; empty: there is none.

    >>> command_of(b"#!/bin/bash\n# a comment\nexport A=1\npython a.py --seed 1\n")
    'python a.py --seed 1'

    Of a block of a command file they are its commands, as they stand in the file.

    >>> command_of(b"#!/usr/bin/env bash\n# A block\nbash -c 'cd x' || exit\nbash -c 'python a.py' || exit\n")
    'cd x && python a.py'

    Args:
        head: the beginning of the script.
    """
    lines = [line.strip() for line in head.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and not line.startswith("#")]
    commands = [command for line in said if (command := _of_block(line)) is not None]
    if commands:
        return " && ".join(commands)[:COMMAND_MAX]
    doing = [line for line in said if not line.startswith(("export ", "set ", "cd "))]
    return (doing or said or [""])[0]


def _of_block(line: str) -> str | None:
    if not (line.startswith("bash -c ") and line.endswith(" || exit")):
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    return words[2] if len(words) == 5 else None
