"""A ``concurrent.futures.Executor`` whose functions run where the agents of a queue have GPUs.

- One thread looks for the ends of all futures.  Nothing that goes wrong with one of them ends it.
- A future is settled by where its task lies (done/, failed/), not by the result that its try may have left.
- Leaving stops nothing: ``with`` waits; without it the tasks go on, and ``attach`` finds them again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, InvalidStateError
from concurrent.futures import Executor as _Executor
from concurrent.futures import Future as _Future
from contextlib import suppress
from functools import partial
from itertools import chain
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
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[T]:
        """Queue all calls at once, and give what they return, in their order.

        Args:
            fn: is called with one of each iterable.
            iterables: as for the ``map`` that is built in.
            timeout: seconds from now until the last result.
            chunksize: so many calls are one task: a short call pays for the start of a process and ``import torch``.

        Raises:
            Exception: as ``submit`` does; what a call raised, when its result is asked for.
        """
        deadline_s = None if timeout is None else time.monotonic() + timeout
        futures = self._publish(chunks(fn, zip(*iterables, strict=False), chunksize))
        values = self._in_order(futures, deadline_s)
        return chain.from_iterable(values) if chunksize > 1 else values

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
            if self._thread is None and self._futures:
                self._thread = threading.Thread(target=self._look_on, name="gpu_queue futures", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        return futures

    @staticmethod
    def _in_order(futures: list[Future[T]], deadline_s: float | None) -> Iterator[T]:
        """As the library's own: what is not asked for any more is cancelled."""
        try:
            for future in futures:
                yield future.result(None if deadline_s is None else max(0.0, deadline_s - time.monotonic()))
        finally:
            for future in reversed(futures):
                if not future.done():
                    future.cancel()

    def _look_on(self) -> None:
        """Until nothing is left to be settled and nothing more may come."""
        pace, warned = Pace(), False
        while True:
            with self._lock:
                while not self._futures and not self._is_shut:
                    self._lock.wait()
                    pace = Pace()
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
        with self._lock:
            futures = dict(self._futures)
        ended = self._watch.look()
        for task_id, future in futures.items():
            future._seen(runs=task_id in self._watch.running)
        settled = [task_id for task_id, future in futures.items() if future.done()]  # cancelled by their owner
        for task_id, task in ended.items():
            one = futures.get(task_id)
            if one is None:
                continue  # it came in this moment
            try:
                one._settle(self._paths, waiting.ending_of(self._paths, task_id, task))
            except (results.NotYet, SpoolError):
                continue  # it is asked for again
            except Exception as error:
                with suppress(InvalidStateError):
                    one.set_exception(error)
            settled.append(task_id)
        with self._lock:
            for task_id in settled:
                self._watch.discard(task_id)
                self._futures.pop(task_id, None)
        return bool(settled)


__all__ = ["CancelledError", "Executor", "Future", "TaskFailed"]
