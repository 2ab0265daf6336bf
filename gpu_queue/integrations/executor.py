"""A ``concurrent.futures.Executor`` whose functions run where the agents of a queue have GPUs.

- One thread looks for the ends of all futures.  Nothing that goes wrong with one of them ends it.
- A future is settled by where its task lies (done/, failed/), not by the result that its try may have left.
- Leaving stops nothing: ``with`` waits; without it the tasks go on, and ``attach`` finds them again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, InvalidStateError
from concurrent.futures import Executor as _Executor
from concurrent.futures import Future as _Future
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from gpu_queue.errors import SpoolError, TaskFailed
from gpu_queue.spool.desk import entrance, publishing, results, steering, waiting
from gpu_queue.spool.desk.find import Task, TaskLike, where
from gpu_queue.spool.desk.functions import chunks
from gpu_queue.spool.desk.waiting import Ended, Pace, Watch
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.spool import Spool
from gpu_queue.task import State

T = TypeVar("T")
_LOG = logging.getLogger("gpu_queue")


def _value_of(future: _Future[T], deadline_s: float | None) -> T:
    """What it brings; one that is waited for no longer is cancelled, and where this raises nothing refers to it."""
    try:
        try:
            return future.result(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        finally:
            if not future.done():
                future.cancel()
    finally:
        del future


def _one_by_one(chunks_of_values: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """The values of chunks; one that was given is not kept, and closing this closes what it reads."""
    with closing(chunks_of_values):
        for values in chunks_of_values:
            values.reverse()
            while values:
                yield values.pop()


class Future(_Future[T]):
    """What a task will bring.

    Beside what every future has it knows its task, ``task_id``; ``stop()`` ends it where it runs, ``log()`` tells
    what it has printed.
    """

    def __init__(self, spool: Spool, task: Task) -> None:
        super().__init__()
        self.task_id = task.id or ""
        self._spool = spool
        self._task = task
        self._runs = False
        self._settling = threading.RLock()  # what is called back may ask the same future

    def __repr__(self) -> str:
        state = "finished" if self.done() else "running" if self._runs else "pending"
        return f"<Future of {self.task_id}: {state}>"

    def running(self) -> bool:
        """Whether it ran when it was looked at last; what is requeued waits again."""
        return self._runs and not self.done()

    def cancel(self) -> bool:
        """Take it out of the queue while it waits; what runs is left alone (``stop``), as for every executor."""
        with self._settling:
            if self.done():
                return self.cancelled()
            paths = SpoolPaths(self._spool.path)
            try:
                now = where(paths, self.task_id)
                if now is None or now.state is not State.PENDING or not steering.cancel(paths, now):
                    return False
            except SpoolError:
                return False  # the storage does not tell: it goes on, as far as anybody knows
            return self._let_go()

    def stop(self) -> None:
        """End it wherever it is; the future then raises ``TaskFailed``, or ``CancelledError`` where it waited."""
        self._spool.stop(self._task)

    def log(self) -> str:
        """The end of what it has printed so far."""
        return self._spool.log_tail(self._task)

    def _let_go(self) -> bool:
        """It is cancelled, and whoever waits for it is told so."""
        return super().cancel() and not self.set_running_or_notify_cancel()

    def _seen(self, *, runs: bool) -> None:
        self._runs = runs

    def _settle(self, paths: SpoolPaths, ended: Ended) -> None:
        """Give it what its task has brought.

        Raises:
            NotYet, SpoolError: ask again.
        """
        with self._settling:
            if self.done():
                return
            if ended.outcome == "cancelled":
                self._let_go()
                return
            try:
                value = results.value_of(paths, ended)
            except (results.NotYet, SpoolError):
                raise
            except BaseException as error:  # the function's own: it belongs to whoever asks for the result
                self.set_exception(error)
            else:
                self.set_result(value)


class Executor(_Executor):
    """Runs functions as tasks of a queue.

    >>> with Executor("train-exp1", gpus=1, memory="20G", time="4h") as pool:  # doctest: +SKIP
    ...     future = pool.submit(train, 0.1, seed=3)
    ...     scores = list(pool.map(evaluate, range(100), chunksize=10))
    ...     future.result()

    A function that can be imported is sent by its name, so that the node needs the same modules: it gets the working
    directory and the module path of whoever submits.  One of ``__main__``, or a lambda, is sent as it is.
    """

    def __init__(
        self, job_id: str | None = None, queue_root: str | None = None, *, spool: Spool | None = None, **needs: Any
    ) -> None:
        """Nothing is read or made yet.

        Args:
            job_id: which queue; default: ``$JOB_ID``.
            queue_root: of all queues; default: as the settings say.
            spool: the queue, in place of these two.
            needs: what each task asks for, in the words of ``Spool.submit``: gpus, memory, queue, time, retries …

        Raises:
            SpoolError: no queue can be called so.
            TypeError: there is no such need.
        """
        self._spool = Spool(job_id, queue_root) if spool is None else spool
        self._paths = SpoolPaths(self._spool.path)
        self._options = publishing.options_of(needs)
        self._lock = threading.Condition()
        self._futures: dict[str, Future[Any]] = {}
        self._watch = Watch(self._paths)
        self._thread: threading.Thread | None = None
        self._is_shut = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue a call.

        Raises:
            RuntimeError: the executor was shut down.
            BadScript, NotPublished, SpoolError: it cannot be queued; nothing is left behind.
            Exception: whatever pickling the function and its arguments raises; nothing was written.
        """
        (future,) = self._publish([partial(fn, *args, **kwargs)])
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Queue all calls at once, and give what they return, in their order.

        Args:
            fn: is called with one of each iterable.
            iterables: as for the ``map`` that is built in.
            timeout: seconds from now until the last result.
            chunksize: so many calls are one task: a short call pays for the start of a process and ``import torch``.
            buffersize: so many tasks are queued ahead of the result that is asked for, and the iterables, which may
                be endless, are read no further; None: all at once.

        Raises:
            Exception: as ``submit`` does; what a call raised, when its result is asked for.
        """
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError(f"buffersize={buffersize!r}; expected a number, or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize={buffersize!r}; expected 1 or more, or None")
        deadline_s = None if timeout is None else time.monotonic() + timeout
        rest = chunks(fn, zip(*iterables, strict=False), chunksize)
        futures = deque(self._publish(islice(rest, buffersize)))
        values = self._in_order(futures, rest, deadline_s)
        return _one_by_one(values) if chunksize > 1 else values

    def attach(self, tasks: Iterable[TaskLike]) -> list[Future[Any]]:
        """Futures of tasks that were submitted before, by this process or another: by ids, or what people call them.

        Raises:
            SpoolError: no one task is called so.
        """
        found = [self._spool.task(one) for one in tasks]
        return self._follow(found)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more; what was submitted goes on.

        Args:
            wait: return when all futures are settled.
            cancel_futures: take out of the queue what still waits.
        """
        with self._lock:
            self._is_shut = True
            futures = list(self._futures.values())
            self._lock.notify_all()
        if cancel_futures:
            for future in reversed(futures):  # first those that come after others
                future.cancel()
        thread = self._thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    # -- how

    def _publish(self, functions: Iterable[Callable[[], T]]) -> list[Future[T]]:
        with self._lock:
            if self._is_shut:
                raise RuntimeError("this executor was shut down and takes nothing more")
        return self._follow(entrance.submit(self._paths, functions, self._options))

    def _follow(self, tasks: Iterable[Task]) -> list[Future[Any]]:
        futures = []
        with self._lock:
            for task in tasks:
                future = self._futures.get(task.id or "") or Future[Any](self._spool, task)
                self._futures[future.task_id] = future
                futures.append(future)
                self._watch.add(future.task_id, str(task))
            is_looked = self._thread is not None and self._thread.is_alive()  # not in a fork of the process
            if not is_looked and self._futures:
                self._thread = threading.Thread(target=self._look_on, name="gpu_queue futures", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        return futures

    def _in_order(
        self, futures: deque[Future[T]], rest: Iterator[Callable[[], T]], deadline_s: float | None
    ) -> Generator[T, None, None]:
        """As the library's own: what is not asked for any more is cancelled, and what was given is not kept."""
        try:
            while futures:
                if (more := next(rest, None)) is not None:
                    futures.extend(self._publish([more]))
                yield _value_of(futures.popleft(), deadline_s)
        finally:
            for future in reversed(futures):
                if not future.done():
                    future.cancel()

    def _look_on(self) -> None:
        """Until nothing is left to be settled: an executor that nobody uses any more has no thread that keeps it."""
        pace, warned = Pace(), False
        while True:
            with self._lock:
                if not self._futures:
                    self._thread = None
                    return
            try:
                has_news = self._look()
            except Exception as error:  # the futures of a thread that died would wait for ever
                has_news = False
                log = _LOG.debug if warned or isinstance(error, SpoolError) else _LOG.warning
                log("looking for results failed, and is tried again: %r", error)
                warned = True
            pause_s = pace.after(has_news=has_news, is_missing=self._watch.is_missing)
            with self._lock:
                if self._futures and not has_news:
                    self._lock.wait(pause_s)

    def _look(self) -> bool:
        """A future may bring much: it is kept here no longer than until it is settled."""
        ended = self._watch.look()
        settled = self._told_what_runs()
        self._drop(settled)
        for task_id, task in ended.items():
            if self._settle(task_id, task):
                settled.append(task_id)
                self._drop([task_id])
        return bool(settled)

    def _told_what_runs(self) -> list[str]:
        with self._lock:
            futures = dict(self._futures)
        for task_id, future in futures.items():
            future._seen(runs=task_id in self._watch.running)
        return [task_id for task_id, future in futures.items() if future.done()]  # cancelled by their owner

    def _settle(self, task_id: str, task: Task | None) -> bool:
        with self._lock:
            one = self._futures.get(task_id)
        if one is None:
            return False  # it came in this moment
        try:
            one._settle(self._paths, waiting.ending_of(self._paths, task_id, task))
        except (results.NotYet, SpoolError):
            return False  # it is asked for again
        except Exception as error:
            with suppress(InvalidStateError):
                one.set_exception(error)
        return True

    def _drop(self, settled: Iterable[str]) -> None:
        with self._lock:
            for task_id in settled:
                self._watch.discard(task_id)
                self._futures.pop(task_id, None)


__all__ = ["CancelledError", "Executor", "Future", "TaskFailed"]
