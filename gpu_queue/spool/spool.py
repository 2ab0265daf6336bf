"""The public face of a spool: what a person may do with a queue, from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from gpu_queue.spool.desk import (
    cleaning,
    clearing,
    entrance,
    explaining,
    publishing,
    results,
    steering,
    stopping,
)
from gpu_queue.spool.desk.asking import Answer
from gpu_queue.spool.desk.clearing import Forgotten
from gpu_queue.spool.desk.explaining import Explanation
from gpu_queue.spool.desk.find import LIFE, Finder, Task, TaskLike, each_of, several
from gpu_queue.spool.desk.functions import chunks
from gpu_queue.spool.desk.publishing import Options, Script, ScriptLike
from gpu_queue.spool.desk.steering import Outcome, Wish
from gpu_queue.spool.desk.stopping import Stopped
from gpu_queue.spool.desk.waiting import Ended
from gpu_queue.spool.sights import Sights
from gpu_queue.task import DEFAULT_PRIORITY, State
from gpu_queue.units import parse_duration_s

T = TypeVar("T")


class Spool(Sights):
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

    Whoever waits is told what became of each (functions have a ``result`` as well, docs/python.md):

    >>> ended, = spool.wait("seed1")
    >>> bool(ended), ended.outcome, ended.status
    (False, 'cancelled', None)

    It is tried again:

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
        nodes: int | str | None = None,
        signal: str | None = None,
        python: str | None = None,
        notify: str | None = None,
        snapshot: bool | None = None,
    ) -> Task:
        """Queue one script, safe on the disk; what is not said here it may say itself (docs/scripts.md).

        Args:
            script: its path, or a ``Script``; or a function, what it is called with in a ``functools.partial``.
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
            signal: by which it is told that its end is near: ``"USR1@120"`` (docs/checkpoints.md).
            python: by which a function is called; default: the one that runs here.
            nodes: on so many at once it is started, with ``gpus`` on each (docs/gangs.md).
            notify: who is told of its end: ``"ops:failed,me"`` (docs/notify.md).
            snapshot: whether it runs in a copy of the working tree as it is now (docs/snapshots.md).

        Returns:
            The task, with its ``needs``, and ``notes`` for its submitter; of an array the first (``publish``: all).

        Raises:
            BadScript: it can never run; nothing was written.
            NotPublished: the storage did not take it; nothing is left behind.
            SpoolError: the queue cannot be made or used.
            Exception: whatever pickling a function raises; nothing was written.
        """
        needs = (gpus, memory, queue, time, retries, several(after))
        options = Options(
            *needs,
            name,
            priority,
            cwd,
            arguments,
            array,
            signal=signal,
            nodes=nodes,
            python=python,
            notify=notify,
            snapshot=snapshot,
        )
        return entrance.submit(self._paths, [script], options)[0]

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
        nodes: int | str | None = None,
        signal: str | None = None,
        python: str | None = None,
        notify: str | None = None,
        snapshot: bool | None = None,
    ) -> tuple[Task, ...]:
        """Queue many scripts, in this order; all are looked at before any is written.

        Args:
            scripts: paths, functions, or ``Script``s, which may bring options of their own.
            gpus, memory, queue, time, retries, after, priority, cwd, arguments, array, signal, nodes, python,
                notify, snapshot: as in ``submit``.

        Raises:
            BadScript: one of them can never run; nothing was written.
            NotPublished: the storage did not take all; its ``published`` names those that were queued.
            SpoolError: the queue cannot be made or used.
        """
        needs = (gpus, memory, queue, time, retries, several(after))
        options = Options(
            *needs,
            None,
            priority,
            cwd,
            arguments,
            array,
            signal=signal,
            nodes=nodes,
            python=python,
            notify=notify,
            snapshot=snapshot,
        )
        return entrance.submit(self._paths, scripts, options)

    def map(
        self,
        function: Callable[..., T],
        *iterables: Iterable[Any],
        chunksize: int = 1,
        timeout_s: float | None = None,
        **needs: Any,
    ) -> Iterator[T]:
        """Queue a call for each set of arguments, all at once, and give what they return, in this order.

        Args:
            function: is called with one of each iterable.
            iterables: as for the ``map`` that is built in.
            chunksize: so many calls are one task: a short call pays for the start of a process and ``import torch``.
            timeout_s: of all of it, from when the first result is asked for.
            needs: as in ``submit``, for each task.

        Raises:
            TypeError: there is no such need.
            BadScript, NotPublished, SpoolError: as ``publish`` does.
            Exception: as ``result`` does, when that result is asked for.
        """
        options = publishing.options_of(needs)
        tasks = entrance.submit(self._paths, chunks(function, zip(*iterables, strict=False), chunksize), options)
        return results.in_order(self._paths, tasks, timeout_s, is_chunks=chunksize > 1)

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

    def cancel(self, *tasks: TaskLike | Iterable[TaskLike], queue: str | None = None) -> tuple[Outcome, ...]:
        """Take waiting tasks out of the queue: they go to failed/, where a file dropped by hand gets an id.

        Args:
            tasks: which, one by one or as a list; ``"all"``: all that wait.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return steering.cancel_each(self._enter(), Wish(each_of(tasks), queue))

    def retry(self, *tasks: TaskLike | Iterable[TaskLike], queue: str | None = None) -> tuple[Outcome, ...]:
        """Queue failed tasks again; their counters of failures begin anew.

        Args:
            tasks: which, one by one or as a list; ``"all"``: all in failed/, also those that were cancelled.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed.
        """
        return steering.retry_each(self._enter(), Wish(each_of(tasks), queue))

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

    def stop(self, *tasks: TaskLike | Iterable[TaskLike], queue: str | None = None) -> Stopped:
        """End tasks wherever they are: what waits is cancelled, what runs is ended.

        It returns when all agents that were asked have answered.  A node without a sign of life for 10 s, on network
        storage 40 s (``$GPU_QUEUE_PATIENCE``), is given up: its claims fail, and end themselves within a minute.

        Args:
            tasks: which, one by one or as a list; ``"all"``: everything, and dedicated nodes sweep.
            queue: all of this serial queue as well; ValueError together with ``"all"``.

        Raises:
            SpoolError: there is no such queue, or it cannot be listed or written.
        """
        return stopping.stop(self._enter(), Wish(each_of(tasks), queue))

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


__all__ = ["Answer", "Ended", "Explanation", "Forgotten", "Options", "Outcome", "Script", "Spool", "Stopped", "Task"]
