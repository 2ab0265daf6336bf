"""Which tasks of an experiment there are: found in the spool's directories, recognised by their records.

- Records are read of tasks that are there, and never listed.  They never change, so that whoever asks often keeps a
  :class:`Census`, which reads each once.
- Of runs that were queued several times all tasks are told; :func:`current` has the one that counts of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk.find import LIFE, Task, latest, look
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import read_submission, read_tries
from gpu_queue.task import ExperimentPart, State, Submission, was_put_away


@dataclass(frozen=True)
class Member:
    """A task that was made of a run."""

    id: str
    part: ExperimentPart
    task: Task
    """Where it was found; it may have moved on since."""
    submission: Submission
    """Its record."""
    was_cancelled: bool = False
    """It was taken out of the queue while it waited; loading counts it for nothing."""

    @property
    def state(self) -> State:
        """Where it was found."""
        return self.task.state

    @property
    def after(self) -> tuple[str, ...]:
        """Ids of the tasks that must be done first, as far as its record names some."""
        said = self.submission.needs.get("after")
        return tuple(one for one in said if isinstance(one, str)) if isinstance(said, list) else ()

    @property
    def queue(self) -> str | None:
        """Its serial queue, as its record says."""
        said = self.submission.needs.get("queue")
        return said if isinstance(said, str) else None


class Census:
    """Finds the members of experiments in one spool; asked again it reads only what it has not read before."""

    def __init__(self, paths: SpoolPaths) -> None:
        self._paths = paths
        self._submissions: dict[str, Submission | None] = {}
        """By id; None: it is no member of any."""
        self._settled: set[str] = set()
        """Ids of those in failed/ that a try has settled there."""

    def members(self, *, file: str | None = None, group: str | None = None) -> list[Member]:
        """The tasks of a file, of a group, of both, or of all experiments, in the order of their submission.

        Args:
            file: its path, without links.
            group: what it is reported with.

        Raises:
            SpoolError: a directory cannot be listed now, or a record cannot be read.
        """
        # Directories in the order of a task's life, so that one that moves meanwhile is seen twice rather than never.
        there = {task.id: task for task in latest(task for state in LIFE for task in look(self._paths, state))}
        # One that goes back to pending/ meanwhile (its agent leaves, or it is tried again) is in neither listing: it
        # would be queued a second time.
        for state in LIFE[:2]:
            for task in look(self._paths, state):
                there.setdefault(task.id, task)
        there.pop(None, None)
        self._submissions = {one: said for one, said in self._submissions.items() if one in there}
        found = []
        for task_id, task in sorted(there.items(), key=lambda one: one[0] or ""):
            submission = self._submission(task_id or "")
            part = None if submission is None else submission.experiment
            if submission is None or part is None:
                continue
            if (file is None or part.file == file) and (group is None or part.group == group):
                found.append(Member(task_id or "", part, task, submission, self._was_cancelled(task)))
        return found

    def _submission(self, task_id: str) -> Submission | None:
        if task_id not in self._submissions:
            try:
                submission = read_submission(self._paths, task_id, None)
            except OSError as error:
                raise SpoolError(f"{self._paths.record(task_id)}: {error.strerror}; try again") from error
            self._submissions[task_id] = submission if submission.experiment is not None else None
        return self._submissions[task_id]

    def _was_cancelled(self, task: Task) -> bool:
        task_id = task.id or ""
        if task.state is not State.FAILED or task_id in self._settled:
            return False
        try:
            was_cancelled = was_put_away(read_tries(self._paths, task_id))
        except OSError as error:
            raise SpoolError(f"{self._paths.tries_index(task_id)}: {error.strerror}; try again") from error
        if not was_cancelled:
            self._settled.add(task_id)
        return was_cancelled


def members(paths: SpoolPaths, *, file: str | None = None, group: str | None = None) -> list[Member]:
    """The tasks of a file, of a group, of both, or of all experiments, in the order of their submission.

    Args:
        paths: of the spool.
        file: its path, without links.
        group: what it is reported with.

    Raises:
        SpoolError: a directory cannot be listed now, or a record cannot be read.
    """
    return Census(paths).members(file=file, group=group)


def current(found: Iterable[Member]) -> list[Member]:
    """Of each run the task that counts: the last that was queued and not cancelled, else the last one.

    They stand in the order of submission.
    """
    last: dict[tuple[str, str], Member] = {}
    for one in sorted(found, key=lambda member: (not member.was_cancelled, member.id)):
        last[one.part.file, one.part.name] = one
    return sorted(last.values(), key=lambda member: member.id)
