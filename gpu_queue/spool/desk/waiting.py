"""Waiting until tasks have ended.

- What is small is listed: pending/ and running/.  done/ and failed/ only for a task that these lack.
- Where a task lies decides, and nothing else: a result without its end may be that of a try that goes on elsewhere.
- One that no look finds for a while is gone: forgotten, or removed by somebody.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk.find import Task, listed, where_all
from gpu_queue.spool.paths import SpoolPaths, full_name
from gpu_queue.spool.records import read_tries, read_try
from gpu_queue.task import DEFAULT_PRIORITY, Claim, State, TryResult, told_outcome, was_put_away

LOOKS = 30
"""A task that so many looks in a row do not find is gone: one may meet it between two directories."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.03, 2.0
MISSED_PAUSE_S = 0.3
"""The longest while one is not found."""
_LONGER = 1.4
"""Of each pause beside the one before it: what has run for an hour is not asked for thirty times a second."""


@dataclass(frozen=True)
class Ended:
    """What became of a task; true where it was done."""

    task_id: str
    state: State | None
    """``done`` or ``failed``; None: it is in no directory of the queue any more."""
    outcome: str
    """``succeeded``, ``failed(1)``, ``timeout``, ``stopped``, ``lost``, ``refused``, ``cancelled``, ``gone``."""
    status: int | None = None
    """Of its last try: 128 + signal where a signal ended it; None: it had none, or nobody knows."""
    error_type: str = ""
    """What kind of failure it was: ``oom``, ``runtime_error``, ``signal`` …"""
    reason: str = ""
    """What else is known of why, for people."""
    node: str = ""
    """Where its last try ran; empty where nobody says."""
    claim: Claim | None = None
    """Of its last try, where it is noted."""

    def __bool__(self) -> bool:
        return self.state is State.DONE

    def __str__(self) -> str:
        told = told_outcome(self.outcome, self.error_type) + (f" on {self.node}" if self.node else "")
        return f"{self.task_id}: {told}" + (f": {self.reason}" if self.reason else "")


class Watch:
    """Looks where tasks are, until each has ended."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._full: dict[str, str] = {}
        """How the file of each was called last."""
        self._misses: dict[str, int] = {}
        self.running: frozenset[str] = frozenset()
        """Ids of those that ran at the last look."""

    def add(self, task_id: str, name: str = "") -> None:
        """Look for this one too; its file's name where it is known."""
        self._full.setdefault(task_id, name or full_name(DEFAULT_PRIORITY, task_id))

    def discard(self, task_id: str) -> None:
        """Look for it no more."""
        self._full.pop(task_id, None)
        self._misses.pop(task_id, None)

    @property
    def is_missing(self) -> bool:
        """Whether one was not found by the last look."""
        return bool(self._misses)

    @property
    def ids(self) -> tuple[str, ...]:
        """Those that have not ended, as far as is known."""
        return tuple(self._full)

    def look(self) -> dict[str, Task | None]:
        """Those that have ended, as they were found; None: it is gone.  Whoever has dealt with one discards it.

        Raises:
            SpoolError: a directory cannot be listed now; ask again.
        """
        meant = dict(self._full)
        if not meant:
            self.running = frozenset()
            return {}
        # In this order: one that moves on meanwhile is seen twice, not never.
        waiting = frozenset(listed(self._paths.directory(State.PENDING)))
        claimed = frozenset(self._claimed())
        running = {task_id for task_id, name in meant.items() if name in claimed}
        missed = {task_id for task_id, name in meant.items() if name not in claimed and name not in waiting}
        found = where_all(self._paths, missed)
        ended: dict[str, Task | None] = {}
        for task_id in meant:
            if task_id not in missed:
                self._misses.pop(task_id, None)
                continue
            task = found.get(task_id)
            if task is None:
                self._misses[task_id] = self._misses.get(task_id, 0) + 1
                if self._misses[task_id] >= LOOKS:
                    ended[task_id] = None
            elif task.state in (State.DONE, State.FAILED):
                ended[task_id] = task
            else:
                self._misses.pop(task_id, None)
                self._full[task_id] = str(task)  # its priority was changed
                if task.state is State.RUNNING:
                    running.add(task_id)
        self.running = frozenset(running)
        return ended

    def _claimed(self) -> Iterator[str]:
        for node in listed(self._paths.all_running):
            if not node.startswith("."):
                yield from (name.rpartition(".try")[0] for name in listed(self._paths.running(node)))


def ending_of(paths: SpoolPaths, task_id: str, task: Task | None) -> Ended:
    """What became of a task that has ended, as far as it is written down.

    Args:
        paths: of the spool.
        task_id: whose.
        task: as it was found, in done/ or failed/; None: it is gone.

    Raises:
        SpoolError: the storage failed; ask again.
    """
    if task is None:
        return Ended(task_id, None, "gone", reason="it is in no directory of the queue any more")
    try:
        tries = read_tries(paths, task_id)
        if task.state is State.DONE:
            last = tries[-1] if tries else None
            return Ended(task_id, State.DONE, "succeeded", 0, claim=_claim(task_id, last))
        if was_put_away(tries):
            return Ended(task_id, State.FAILED, "cancelled", reason="it was cancelled, or put there by a person")
        last = tries[-1]
        claim = _claim(task_id, last)
        record = read_try(paths, claim) if claim is not None else None
    except OSError as error:
        raise SpoolError(f"{paths.tries_index(task_id)}: {error.strerror}; try again") from error
    outcome = last.end.why.value if last.end.why is not None else f"failed({last.end.status})"
    reason = last.reason
    if record is not None:
        outcome = record.outcome or outcome
        reason = ": ".join(filter(None, (record.reason, record.problem))) or reason
    return Ended(
        task_id, State.FAILED, outcome, last.end.status, last.error_type, reason, last.node, _claim(task_id, last)
    )


def _claim(task_id: str, last: TryResult | None) -> Claim | None:
    return Claim(0, task_id, last.number, last.token) if last is not None else None


class Pace:
    """How long to rest between two looks: longer each time that nothing has happened."""

    def __init__(self) -> None:
        self.pause_s = FIRST_PAUSE_S

    def after(self, *, has_news: bool, is_missing: bool) -> float:
        """The next pause.

        Args:
            has_news: something has ended.
            is_missing: something was not found.
        """
        longest_s = MISSED_PAUSE_S if is_missing else LONGEST_PAUSE_S
        self.pause_s = FIRST_PAUSE_S if has_news else min(self.pause_s * _LONGER, longest_s)
        return self.pause_s


def as_completed(paths: SpoolPaths, tasks: Iterable[Task], timeout_s: float | None) -> Iterator[Ended]:
    """What became of tasks, each as soon as it has ended.

    A listing that fails is tried again: a storage that is away for a while ends no waiting.

    Args:
        paths: of the spool.
        tasks: with ids, each once.
        timeout_s: of all of it; None: no end.

    Raises:
        TimeoutError: some have not ended by then.
    """
    watch, pace = Watch(paths), Pace()
    deadline_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    for task in tasks:
        if task.id is not None:
            watch.add(task.id, str(task))
    total = len(watch.ids)
    while watch.ids:
        told = False
        try:
            ended = watch.look()
            for task_id, found in ended.items():
                ending = ending_of(paths, task_id, found)
                watch.discard(task_id)
                told = True
                yield ending
        except SpoolError:
            if not os.path.isdir(paths.root) and os.path.isdir(os.path.dirname(paths.root)):
                raise  # the queue was removed
        left_s = deadline_s - time.monotonic()
        if watch.ids and left_s <= 0:
            raise TimeoutError(f"{len(watch.ids)} of {total} tasks have not ended after {timeout_s:g} s")
        if watch.ids:
            time.sleep(min(pace.after(has_news=told, is_missing=watch.is_missing), max(0.0, left_s)))
