"""What there is to see of a queue, from Python: the half of ``Spool`` that changes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk import entrance, papers, results, waiting
from gpu_queue.spool.desk.find import Task, TaskLike, each_of, the_one
from gpu_queue.spool.desk.waiting import Ended
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import TryRecord
from gpu_queue.task import Submission
from gpu_queue.texts import printable

if TYPE_CHECKING:
    from gpu_queue.spool.snapshot.reader import SnapshotReader
    from gpu_queue.spool.snapshot.taskfiles import TaskView
    from gpu_queue.spool.snapshot.view import Snapshot


class Sights:
    """A queue that is looked at."""

    def __init__(self, job_id: str | None = None, queue_root: str | os.PathLike[str] | None = None) -> None:
        """Name a queue; nothing is read or made yet.

        Args:
            job_id: which; default: ``$JOB_ID``.
            queue_root: of all queues; default: as the settings say (docs/settings.md), else ``~/gpu_queue``.

        Raises:
            SpoolError: no queue can be called so.
        """
        self._paths = entrance.named(job_id, queue_root)
        self._reader: SnapshotReader | None = None

    def __repr__(self) -> str:
        job_id, root = os.path.basename(self._paths.root), os.path.dirname(self._paths.root)
        return f"Spool({job_id!r}, {root!r})"

    @property
    def path(self) -> str:
        """The queue's directory."""
        return self._paths.root

    # -- of one task

    def task(self, task: TaskLike) -> Task:
        """Where the one task is that is called so.

        Raises:
            SpoolError: there is no such queue, or no one task is called so.
        """
        return self._one(task)

    def record(self, task: TaskLike) -> Submission:
        """What its submitter said; fields are empty where the record does not tell, and its ``problem`` says why.

        Raises:
            SpoolError: there is no such queue, no one task is called so, or the storage failed.
        """
        return papers.record(self._paths, self._one(task))

    def tries(self, task: TaskLike) -> tuple[TryRecord, ...]:
        """What is noted of each try, oldest first.

        Raises:
            SpoolError: there is no such queue, no one task is called so, or the storage failed.
        """
        return papers.tries(self._paths, self._one(task))

    def logs(self, task: TaskLike, rank: int = 0) -> tuple[str, ...]:
        """The paths of the logs of its tries, oldest first; none before it starts.

        Args:
            task: whose.
            rank: of a task over several nodes: of which.

        Raises:
            SpoolError: there is no such queue, or no one task is called so.
        """
        return papers.logs(self._paths, self._one(task), rank)

    def log_tail(self, task: TaskLike, limit_bytes: int = 64 << 10, rank: int = 0) -> str:
        """The end of its newest log, as it was printed, with whatever escape codes; empty before it starts.

        Args:
            task: whose.
            limit_bytes: the most.
            rank: of a task over several nodes: of which.

        Raises:
            SpoolError: there is no such queue, no one task is called so, or the storage failed.
        """
        logs = self.logs(task, rank)
        return papers.tail(logs[-1], limit_bytes) if logs else ""

    # -- of the queue as a whole

    def snapshot(self, *, fresh: bool = True) -> Snapshot:
        """All there is to see: tasks by state, nodes, GPUs, why tasks wait, flags, queues, what happened lately.

        Immutable, and bounded whatever lies in the directory.  What has not changed since the last call is not read
        again, and where nothing has, it is the same object.  For one thread at a time.

        Args:
            fresh: look everywhere now; else, for whoever asks again and again, at each thing in its own time: at what
                waits and at nodes every 2 s, at the rest every 2 to 60 s (``reader.Cadence``).

        Raises:
            SpoolError: there is no such queue.  What cannot be read within it is among the snapshot's ``problems``.
        """
        return self._sight().refresh(time.monotonic(), everything=fresh)

    def look(self, task: TaskLike) -> TaskView:
        """All that is known of one task: where it is, what it asks for, its tries, its logs, why it waits.

        Raises:
            SpoolError: there is no such queue, or no one task is called so.
        """
        name = (found := self._one(task)).id or found.name
        view = self._sight().fresh_task(name, time.monotonic())
        if view is None:
            raise SpoolError(f"{name} is in no directory of the queue any more")
        return view

    # -- what comes of tasks

    def wait(self, *tasks: TaskLike | Iterable[TaskLike], timeout_s: float | None = None) -> tuple[Ended, ...]:
        """Wait until tasks have ended, scripts and functions alike; true is each that was done.

        Args:
            tasks: which, one by one or as a list.
            timeout_s: after which it gives up; the tasks go on.

        Returns:
            What became of each, in this order.

        Raises:
            TimeoutError: some have not ended by then.
            SpoolError: there is no such queue, or no one task is called so.
        """
        meant = self._each(each_of(tasks))
        ended = {one.task_id: one for one in waiting.as_completed(self._paths, meant, timeout_s)}
        return tuple(ended[task.id] for task in meant if task.id is not None)

    def as_completed(self, tasks: Iterable[TaskLike], timeout_s: float | None = None) -> Iterator[Ended]:
        """What became of tasks, each as soon as it has ended.

        Raises:
            TimeoutError: some have not ended so many seconds after the first was asked for.
            SpoolError: there is no such queue, or no one task is called so.
        """
        return waiting.as_completed(self._paths, self._each(tasks), timeout_s)

    def result(self, task: TaskLike, timeout_s: float | None = None) -> Any:
        """Wait for what a function returns that was submitted.

        Raises:
            TimeoutError: it has not ended by then; it goes on.
            TaskFailed: it brought no result: its process was killed, say; the message has the end of its log.
            SpoolError: there is no such queue, or no one task is called so.
            BaseException: what the function raised, with the traceback from its node as the cause.
        """
        (ended,) = self.wait(task, timeout_s=timeout_s)
        return results.bring(self._paths, ended)

    def _each(self, tasks: Iterable[TaskLike]) -> list[Task]:
        self._enter()
        meant = [task if isinstance(task, Task) and task.id is not None else self._one(task) for task in tasks]
        without = [task.name for task in meant if task.id is None]
        if without:
            raise SpoolError(
                f"{printable(without[0])} was dropped by hand and has no id before it runs; wait for it then"
            )
        return meant

    def _enter(self) -> SpoolPaths:
        return entrance.enter(self._paths)

    def _sight(self) -> SnapshotReader:
        if self._reader is None:
            from gpu_queue.spool.snapshot.reader import SnapshotReader  # noqa: PLC0415  whoever only submits needs none

            self._reader = SnapshotReader(self._enter())
        return self._reader

    def _one(self, task: TaskLike) -> Task:
        return the_one(self._enter(), task)
