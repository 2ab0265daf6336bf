"""Many tasks at once, as somebody saw them: what is still in that state is moved on, of the rest is told where it is.

- Who is meant was fixed by a look some time ago.  A task that has started, ended or moved since is left alone.
- A listing tells of all; only a rename that is lost is looked into by itself.
- Each is told of as soon as it is known, so that whoever waits sees how far it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gpu_queue.errors import SpoolError
from gpu_queue.sayings import Say, say
from gpu_queue.spool.desk.asking import Answer
from gpu_queue.spool.desk.find import Task, look, where_all
from gpu_queue.spool.desk.steering import (
    Outcome,
    What,
    cancel,
    moved_on,
    outcome,
    refused,
    release_queues,
    retry,
    set_priority,
    unknown,
)
from gpu_queue.spool.desk.stopping import stop_these
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State
from gpu_queue.texts import printable

Told = Callable[[Task, Outcome], None]
"""Hears of each task as it was meant, and what became of it, once."""


def cancel_these(paths: SpoolPaths, tasks: Sequence[Task], told: Told) -> None:
    """Take waiting tasks out of the queue: those that still wait go to failed/.

    Args:
        paths: of the spool.
        tasks: as they were seen, waiting; their priorities may have changed since.
        told: hears of each.

    Raises:
        SpoolError: a directory cannot be listed now; what was told is so.
    """
    try:
        _each(paths, State.PENDING, tasks, lambda _, now: cancel(paths, now, release=False), told)
    finally:
        release_queues(paths)


def retry_these(paths: SpoolPaths, tasks: Sequence[Task], told: Told) -> None:
    """Queue failed tasks again: those that still lie in failed/.

    Raises:
        SpoolError: a directory cannot be listed now; what was told is so.
    """
    _each(paths, State.FAILED, tasks, lambda _, now: retry(paths, now), told)


def set_priorities_of(
    paths: SpoolPaths, wanted: Mapping[Task, int], told: Told, *, only_as_seen: bool = False
) -> None:
    """Have waiting tasks run earlier or later, each as it is said: those that still wait.

    Args:
        paths: of the spool.
        wanted: the new priority of each, as it was seen.
        told: hears of each.
        only_as_seen: leave those alone whose priority has been changed since.

    Raises:
        SpoolError: a directory cannot be listed now; what was told is so.
    """
    taken = {task.name for task in look(paths, State.PENDING)}

    def change(meant: Task, now: Task) -> Outcome:
        if only_as_seen and now.name != meant.name:
            return refused(now, say(Say.PRIORITY_CHANGED, priority=now.priority))
        if now.id is None:  # its new name is no id, and may have been dropped in this moment
            return set_priority(paths, now, wanted[meant])
        changed = set_priority(paths, now, wanted[meant], taken.__contains__)
        taken.add(changed.name)
        return changed

    _each(paths, State.PENDING, list(wanted), change, told)


def stop_all_of(
    paths: SpoolPaths, tasks: Sequence[Task], told: Told, answered: Callable[[Answer], None] = lambda _: None
) -> None:
    """End tasks that run: those that still do, in this try or another.

    Args:
        paths: of the spool.
        tasks: as they were seen, running.
        told: hears of each.
        answered: hears each answer of a node.

    Raises:
        SpoolError: the spool cannot be listed, or no command can be written; what was told is so.
    """
    meant = {task.id: task for task in tasks if task.id is not None}
    running = {task.id: task for task in look(paths, State.RUNNING) if task.id in meant}
    _tell_of_missing(paths, [task for task in tasks if task.id not in running], told)

    def tell(outcome: Outcome) -> None:
        task = meant.get(outcome.task_id or "")
        if task is not None:
            told(task, outcome)

    stop_these(paths, running.values(), tell, answered)


# -- how ------------------------------------------------------------------------------------------------------------


def _each(
    paths: SpoolPaths, state: State, tasks: Sequence[Task], do: Callable[[Task, Task], Outcome], told: Told
) -> None:
    listing = _Listing(paths, state)
    missing = []
    for task in tasks:
        now = listing.find(task)
        if now is None:
            missing.append(task)
            continue
        try:
            became = do(task, now)
        except SpoolError as error:  # after a lost rename, and the storage does not tell
            became = unknown(now, error)
        if became.what is What.GONE:
            listing.look()  # somebody else is at work on the same
        told(task, became)
    if missing:
        listing.look()  # one that came back is meant as well
        back = [(task, now) for task in missing if (now := listing.find(task)) is not None]
        for task, now in back:
            told(task, do(task, now))
        came_back = {id(task) for task, _ in back}
        _tell_of_missing(paths, [task for task in missing if id(task) not in came_back], told)


class _Listing:
    """The tasks of a state, by id; those without one by name."""

    def __init__(self, paths: SpoolPaths, state: State) -> None:
        self._paths = paths
        self._state = state
        self._found: dict[str, Task] = {}
        self.look()

    def look(self) -> None:
        self._found = {task.id or f"/{task.name}": task for task in look(self._paths, self._state)}

    def find(self, task: Task) -> Task | None:
        return self._found.get(task.id or f"/{task.name}")


def _tell_of_missing(paths: SpoolPaths, tasks: Iterable[Task], told: Told) -> None:
    """Tell where tasks are that are not where they were seen."""
    tasks = list(tasks)
    places = where_all(paths, (task.id for task in tasks if task.id is not None))
    for task in tasks:
        now = places.get(task.id or "")
        if now is None and task.id is None:
            why = say(Say.DROP_GONE, place=f"pending/{printable(task.name)}")
            told(task, Outcome(What.GONE, task.name, None, "", why.english, why))
        elif now is not None and now.state is State.PENDING:
            told(task, outcome(What.GONE, now, say(Say.WAITS_AGAIN)))
        else:
            told(task, moved_on(task, now))
