"""Calls on shared storage, which hang and do not fail: in threads, with deadlines, none beside one that hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

QUEUED_MAX = 64
CALL_S = 10.0


class StorageSilent(Exception):
    """The shared directory has not answered in time.  What was asked may happen all the same, later."""

    def __init__(self, silent_s: float, waits_for: str) -> None:
        super().__init__(f"the shared directory has not answered for {silent_s:.0f} s ({waits_for}); try again later")
        self.silent_s = silent_s
        self.waits_for = waits_for


class StorageCrowded(Exception):
    """Too many calls wait already."""


class _Call:
    """One call on its way."""

    def __init__(self, work: Callable[[], object], name: str, timeout_s: float, future: asyncio.Future[Any]) -> None:
        self.work = work
        self.name = name
        self.timeout_s = timeout_s
        self.future = future
        self.loop = future.get_loop()
        self.began_at_s: float | None = None

    def run(self) -> None:
        """In the lane's thread."""
        if self.future.cancelled():
            return
        try:
            result, error = self.work(), None
        except BaseException as raised:  # it belongs to whoever waits
            result, error = None, raised
        try:
            self.loop.call_soon_threadsafe(self._tell, result, error)
        except RuntimeError:
            pass  # the loop has ended meanwhile: nobody waits

    def _tell(self, result: object, error: BaseException | None) -> None:
        if self.future.done():
            return  # nobody waits any more
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses that one
            self.future.set_exception(RuntimeError("a call ended with StopIteration"))
        else:
            self.future.set_exception(error)


class Lane:
    """Threads for one kind of calls on one storage; they live only while there is work.

    >>> lane = Lane("train-exp1 tasks", width=1)
    >>> asyncio.run(lane.call(len, "abc"))
    3
    """

    def __init__(self, name: str, *, width: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """Args: its name, for people; how many calls may run at once; a monotonic clock."""
        self.name = name
        self._width = width
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[_Call] = deque()
        self._running: set[_Call] = set()
        self._threads = 0

    def silence(self) -> StorageSilent | None:
        """The call that hangs, if one does."""
        now = self._clock()
        with self._lock:
            hanging = [
                (now - one.began_at_s, one.name)
                for one in self._running
                if one.began_at_s is not None and now - one.began_at_s > one.timeout_s
            ]
        return StorageSilent(*max(hanging)) if hanging else None

    async def call(self, work: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function in a thread, and wait for it for :data:`CALL_S`.

        Raises:
            StorageSilent: it has not come back, or another call of this lane hangs.
            StorageCrowded: too many wait.
        """
        return await self.within(CALL_S, lambda: work(*arguments, **named), getattr(work, "__name__", "a call"))

    async def within(self, timeout_s: float, work: Callable[[], T], waits_for: str = "a call") -> T:
        """The same with a deadline of one's own, in seconds, and a name for people."""
        silence = self.silence()
        if silence is not None:
            raise silence
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        call = _Call(work, waits_for, timeout_s, future)
        with self._lock:
            if len(self._waiting) >= QUEUED_MAX:
                raise StorageCrowded(f"{QUEUED_MAX} requests wait for the shared directory; try again later")
            self._waiting.append(call)
            if self._threads < self._width:
                self._threads += 1
                # A daemon: a console that is ended waits for no storage that hangs.
                threading.Thread(target=self._work, name=self.name, daemon=True).start()
        asked_at_s = self._clock()
        try:
            # Not `wait_for`: up to Python 3.11 it loses a cancellation that comes together with the result.
            await asyncio.wait((future,), timeout=timeout_s)
            if future.done():
                return future.result()
        finally:
            future.cancel()
        raise self.silence() or StorageSilent(self._clock() - asked_at_s, waits_for)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                call = self._waiting.popleft()
                call.began_at_s = self._clock()
                self._running.add(call)
            try:
                call.run()
            finally:
                with self._lock:
                    self._running.discard(call)
