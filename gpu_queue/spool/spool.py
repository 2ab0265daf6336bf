"""The public face of a spool: what a person may do with a queue, from Python."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk import cleaning, clearing, entrance, explaining, papers, publishing, steering, stopping
from gpu_queue.spool.desk.asking import Answer
from gpu_queue.spool.desk.clearing import Forgotten
from gpu_queue.spool.desk.explaining import Explanation
from gpu_queue.spool.desk.find import LIFE, Finder, Task, TaskLike, several, the_one
from gpu_queue.spool.desk.publishing import Options, Script, ScriptLike
from gpu_queue.spool.desk.steering import Outcome, Wish
from gpu_queue.spool.desk.stopping import Stopped
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import TryRecord
from gpu_queue.task import DEFAULT_PRIORITY, State, Submission
from gpu_queue.units import parse_duration_s

if TYPE_CHECKING:
    from gpu_queue.spool.snapshot.reader import SnapshotReader
    from gpu_queue.spool.snapshot.taskfiles import TaskView
    from gpu_queue.spool.snapshot.view import Snapshot


class Spool:
    """A queue: the directory ``$QUEUE_ROOT/<JOB_ID>``.

    It needs no agent, no GPU and no setting, and it keeps nothing in memory: any number of them, in any number of
    processes, may be at work on the same queue, with ``client.sh`` and with agents.

    >>> from gpu_queue import Script, Spool
    >>> spool = Spool("train-exp1", queue_root)

    The first submission makes the queue.  A script is a path, or a ``Script`` with a name and a text:

    >>> train = spool.submit("train.sh", gpus=2, time="4h")
    >>> train.priority, train.title, train.needs.gpus_min
    (500, 'train.sh', 2)
    >>> report = spool.submit(Script("report.sh", "python report.py"), gpus=0, after=[train], priority=900)

    Thousands at once become visible one by one, in order, after all of them are safe on the disk:

    >>> runs = [Script(f"seed{n}.sh", f"python train.py --seed {n}") for n in range(3)]
    >>> [task.title for task in spool.publish(runs, queue="car")]
    ['seed0.sh', 'seed1.sh', 'seed2.sh']

    What can never run is refused before anything is written:

    >>> spool.submit("train.sh", gpus="3-2")
    Traceback (most recent call last):
        ...
    gpu_queue.errors.BadScript: train.sh: asks for what cannot be: '3-2' is no number of GPUs; ...

    A task is called by its id, its six digits, its script's name, or a part of that:

    >>> [task.title for task in spool.find("seed")]
    ['seed0.sh', 'seed1.sh', 'seed2.sh']
    >>> spool.priority("seed2", 100)[0].where
    'pending'

    What came of a wish is data.  Outcomes are true where it was done:

    >>> outcome, = spool.cancel("seed1")
    >>> bool(outcome), outcome.what.value, outcome.where
    (True, 'done', 'failed')
    >>> print(outcome)
    500-...-seed1.sh: done, in failed
    >>> all(spool.retry("all"))
    True

    What is known of a task, and what it has printed so far:

    >>> spool.record(report).needs["after"] == [train.id]
    True
    >>> spool.tries(train), spool.logs(train), spool.log_tail(train)
    ((), (), '')

    The queue as a whole.  Agents obey within a second or two:

    >>> spool.pause("the cluster is too hot")
    >>> spool.resume()
    >>> spool.explain("report").lines
    ('no agent is alive; start one with ./submit.sh',)
    >>> spool.shutdown()                            # one answer for each agent; there is none
    ()
    >>> stopped = spool.stop("all")
    >>> len(stopped.tasks), {outcome.where for outcome in stopped.tasks}
    (5, {'failed'})

    What is there to see, as one immutable value.  Asked again it reads only what has changed:

    >>> seen = spool.snapshot()
    >>> seen.counts.failed, [task.title for task in seen.failed][:2], seen.nodes
    (5, ['seed2.sh', 'seed1.sh'], ())
    >>> spool.snapshot() is seen
    True
    >>> view = spool.look(train)
    >>> view.state.value, view.needs.gpus_min, view.tries
    ('failed', 2, ())
    >>> len(spool.clean("7d")), len(spool.clean(0))
    (0, 5)
    """

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

    # -- submitting

    def submit(
        self,
        script: ScriptLike,
        *,
        gpus: int | str | None = None,
        memory: int | str | None = None,
        queue: str | None = None,
        time: float | str | None = None,
        retries: int | str | None = None,
        after: TaskLike | Iterable[TaskLike] = (),
        name: str | None = None,
        priority: int = DEFAULT_PRIORITY,
        cwd: str | None = None,
        arguments: Sequence[str] = (),
        array: str | None = None,
    ) -> Task:
        """Queue one script, safe on the disk; what is not said here it may say itself (docs/scripts.md).

        Args:
            script: its path, or a ``Script``.
            gpus: ``2``, ``"1-4"``, or ``0``.
            memory: that each of its GPUs must have: ``"20G"``, or bytes.
            queue: of tasks with the same one, one runs at a time.
            time: after which it is ended: ``"4h"``, or seconds.
            retries: how often it is tried again after a failure of its own.
            after: tasks that must be done first.
            name: in place of the script's own.
            priority: 0 to 999, smaller runs first.
            cwd: where it runs; default: here.
            arguments: what the script finds as ``$1``, ``$2`` …
            array: ``"0-9%2"``: a task for each index, two at once; what the script's own line says, else.

        Returns:
            The task, with its ``needs``, and ``notes`` for its submitter; of an array the first (``publish``: all).

        Raises:
            BadScript: it can never run; nothing was written.
            NotPublished: the storage did not take it; nothing is left behind.
            SpoolError: the queue cannot be made or used.
        """
        needs = (gpus, memory, queue, time, retries, several(after))
        return entrance.submit(self._paths, [script], Options(*needs, name, priority, cwd, arguments, array))[0]

    def publish(  # noqa: D417  what is the same as there is one line
        self,
        scripts: Iterable[ScriptLike],
        *,
        gpus: int | str | None = None,
        memory: int | str | None = None,
        queue: str | None = None,
        time: float | str | None = None,
        retries: int | str | None = None,
        after: TaskLike | Iterable[TaskLike] = (),
        priority: int = DEFAULT_PRIORITY,
        cwd: str | None = None,
        arguments: Sequence[str] = (),
        array: str | None = None,
    ) -> tuple[Task, ...]:
        """Queue many scripts, in this order; all are looked at before any is written.

        Args:
            scripts: paths, or ``Script``s, which may bring options of their own.
            gpus, memory, queue, time, retries, after, priority, cwd, arguments, array: as in ``submit``, for each.

        Raises:
            BadScript: one of them can never run; nothing was written.
            NotPublished: the storage did not take all; its ``published`` names those that were queued.
            SpoolError: the queue cannot be made or used.
        """
        options = Options(gpus, memory, queue, time, retries, several(after), None, priority, cwd, arguments, array)
        return entrance.submit(self._paths, scripts, options)

    # -- tasks that wait or have ended

    def find(self, text: str = "", *states: State) -> tuple[Task, ...]:
        """The tasks that a text names, each once, in run order; with no text all.

        Args:
            text: a full name, an id, six digits, a script's name, or a part of that.
            states: where to look; default: everywhere.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return Finder(self._enter()).fit(text, states or LIFE)[0]

    def cancel(self, *tasks: TaskLike, queue: str | None = None) -> tuple[Outcome, ...]:
        """Take waiting tasks out of the queue: they go to failed/, where a file dropped by hand gets an id.

        Args:
            tasks: which; ``"all"``: all that wait.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return steering.cancel_each(self._enter(), Wish(tasks, queue))

    def retry(self, *tasks: TaskLike, queue: str | None = None) -> tuple[Outcome, ...]:
        """Queue failed tasks again; their counters of failures begin anew.

        Args:
            tasks: which; ``"all"``: all in failed/, also those that were cancelled.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return steering.retry_each(self._enter(), Wish(tasks, queue))

    def priority(
        self, task: TaskLike | Iterable[TaskLike], priority: int, *, queue: str | None = None
    ) -> tuple[Outcome, ...]:
        """Have waiting tasks run earlier or later.

        Args:
            task: which, one or many; ``"all"``: all that wait.
            priority: 0 to 999, smaller runs first.
            queue: all of this serial queue as well.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
            ValueError: that is no priority, or ``"all"`` together with a queue.
        """
        if not publishing.is_priority(priority):
            raise ValueError(f"priority={priority!r}; expected 0 to 999, smaller runs first")
        return steering.set_priorities(self._enter(), Wish(several(task), queue), priority)

    # -- tasks that run, and agents

    def stop(self, *tasks: TaskLike, queue: str | None = None) -> Stopped:
        """End tasks wherever they are: what waits is cancelled, what runs is ended.

        It returns when all agents that were asked have answered.  A node without a sign of life for 10 s, on network
        storage 40 s (``$GPU_QUEUE_PATIENCE``), is given up: its claims fail, and end themselves within a minute.

        Args:
            tasks: which; ``"all"``: everything, and dedicated nodes sweep.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed or written.
        """
        return stopping.stop(self._enter(), Wish(tasks, queue))

    def shutdown(self, *, wait: bool = False) -> tuple[Answer, ...]:
        """End the agents that are there now, and have no allocation submitted any more (``submit.sh --keep``).

        Args:
            wait: after the running tasks have ended; else these go back to pending/.

        Returns:
            What each agent said; empty where there is none.

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        return stopping.shut_down(self._enter(), wait=wait)

    def sweep(self) -> tuple[Answer, ...]:
        """Have dedicated nodes end what is left over of tasks.

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        return stopping.sweep(self._enter())

    def explain(self, task: TaskLike) -> Explanation:
        """Why a task waits, where it runs, or how it ended.

        Agents publish their reasons for the first hundred that wait; for others they are asked, which takes a moment.

        Raises:
            SpoolError: there is no such queue, or no one task is called so.
        """
        return explaining.explain(self._paths, self._one(task))

    def forget(self, node: str, *, force: bool = False) -> Forgotten:
        """Say that a node is dead: its tasks go on elsewhere now, and not after 15 minutes.

        Args:
            node: its name, or a part of it that fits no other.
            force: also where it, or a task of it, gave a sign of life within 90 s.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return clearing.forget_node(self._enter(), node, force=force)

    # -- the queue as a whole

    def pause(self, why: str = "") -> None:
        """Have nothing new started until ``resume``; what runs goes on.

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        steering.raise_flag(self._enter(), "paused", why)

    def drain(self, why: str = "") -> None:
        """Have nothing new started, and agents leave when their tasks have ended, until ``resume``.

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        steering.raise_flag(self._enter(), "draining", why)

    def resume(self) -> None:
        """Undo ``pause`` and ``drain``.

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        steering.lift_flags(self._enter(), "paused", "draining")

    def keepalive(self, on: bool, why: str = "") -> None:
        """Let idle GPUs be idle (False), or have them kept busy again (True).

        Raises:
            SpoolError: there is no such queue, or it cannot be written.
        """
        if on:
            steering.lift_flags(self._enter(), "keepalive-off")
        else:
            steering.raise_flag(self._enter(), "keepalive-off", why)

    def clean(self, older_than: float | str, *, dry_run: bool = False) -> tuple[Outcome, ...]:
        """Forget settled tasks with their records and logs; what a waiting or running task still names is kept.

        Args:
            older_than: since they were settled: ``"7d"``, or seconds.
            dry_run: only tell which.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
            ValueError: that is no duration.
        """
        older_than_s = parse_duration_s(older_than) if isinstance(older_than, str) else float(older_than)
        return tuple(cleaning.clean(self._enter(), older_than_s, dry_run=dry_run))

    # -- what there is to see

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

    def logs(self, task: TaskLike) -> tuple[str, ...]:
        """The paths of the logs of its tries, oldest first; none before it starts.

        Raises:
            SpoolError: there is no such queue, or no one task is called so.
        """
        return papers.logs(self._paths, self._one(task))

    def log_tail(self, task: TaskLike, limit_bytes: int = 64 << 10) -> str:
        """The end of its newest log, as it was printed, with whatever escape codes; empty before it starts.

        Raises:
            SpoolError: there is no such queue, no one task is called so, or the storage failed.
        """
        logs = self.logs(task)
        return papers.tail(logs[-1], limit_bytes) if logs else ""

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

    def _enter(self) -> SpoolPaths:
        return entrance.enter(self._paths)

    def _sight(self) -> SnapshotReader:
        if self._reader is None:
            from gpu_queue.spool.snapshot.reader import SnapshotReader  # noqa: PLC0415  whoever only submits needs none

            self._reader = SnapshotReader(self._enter())
        return self._reader

    def _one(self, task: TaskLike) -> Task:
        return the_one(self._enter(), task)


__all__ = ["Answer", "Explanation", "Forgotten", "Options", "Outcome", "Script", "Spool", "Stopped", "Task"]
