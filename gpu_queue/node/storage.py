"""The one thread that touches shared storage.

- Calls on shared storage hang, they do not fail.  The main thread must never hang: it stops tasks, reads GPUs and
  answers signals.  So every call is made here, one after the other, and its result comes back as a completion that
  the main thread picks up when it wants to.
- There is never a second worker while the first hangs: a new call would overtake the old one.
- The thread is a daemon: an agent that must leave does not wait for a server that never answers.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True)
class Failed:
    """A call that raised."""

    error: BaseException

    def __str__(self) -> str:
        """What the storage said; a fault of our own with the place where it happened."""
        if isinstance(self.error, OSError):
            return str(self.error)
        return "".join(traceback.format_exception(self.error)).rstrip()


class Storage(Protocol):
    """Where calls on shared storage are handed in."""

    def submit(self, name: str, call: Callable[[], T], done: Callable[[T | Failed], None]) -> None:
        """Have a call made; ``done`` gets its result, in the thread that calls ``deliver``."""

    def deliver(self) -> int:
        """Run the ``done`` of every call that has ended, in order; returns how many."""

    def outstanding(self) -> int:
        """How many calls have not been delivered."""

    def hangs(self, now: float) -> tuple[str, float] | None:
        """The name of the call that is being made, and for how many seconds; None if none is."""


@dataclass
class _Job(Generic[T]):
    name: str
    call: Callable[[], T]
    done: Callable[[T | Failed], None]
    result: T | Failed | None = None

    def run(self) -> None:
        try:
            self.result = self.call()
        except BaseException as error:
            self.result = Failed(error)

    def deliver(self) -> None:
        self.done(cast("T | Failed", self.result))


class StorageThread:
    """One daemon thread; results wake the main thread through a pipe."""

    def __init__(self) -> None:
        self._todo: SimpleQueue[_Job[object]] = SimpleQueue()
        self._finished: SimpleQueue[_Job[object]] = SimpleQueue()
        self._outstanding = 0
        self._current: tuple[str, float] | None = None
        self.wake_fd, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        threading.Thread(target=self._run, name="storage", daemon=True).start()

    def submit(self, name: str, call: Callable[[], T], done: Callable[[T | Failed], None]) -> None:
        """Have a call made by the thread."""
        self._outstanding += 1
        self._todo.put(cast("_Job[object]", _Job(name, call, done)))

    def deliver(self) -> int:
        """Run the ``done`` of every call that has ended, in order."""
        count = 0
        while not self._finished.empty():
            job = self._finished.get()
            self._outstanding -= 1
            count += 1
            job.deliver()
        return count

    def outstanding(self) -> int:
        """How many calls have not been delivered."""
        return self._outstanding

    def hangs(self, now: float) -> tuple[str, float] | None:
        """The call that is being made, and since when."""
        current = self._current
        return None if current is None else (current[0], now - current[1])

    def wake(self) -> None:
        """Wake whoever waits on ``wake_fd``."""
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            pass  # the pipe is full: it is awake

    def _run(self) -> None:
        while True:
            job = self._todo.get()
            self._current = (job.name, time.monotonic())
            job.run()
            self._current = None
            self._finished.put(job)
            self.wake()


class Errand(Generic[T]):
    """One kind of call on shared storage: of each only one is under way, and its failures are told."""

    def __init__(
        self, storage: Storage, name: str, say: Callable[[str], None], *, trouble: str = "", over: str = ""
    ) -> None:
        """Nothing is asked yet.

        Args:
            storage: where calls are handed in.
            name: for people, of a call that hangs.
            say: tells people.
            trouble: what a failure means, for people; empty: whoever asks tells it himself.
            over: what is said when it works again; then its failures are told once.
        """
        self._storage = storage
        self._name = name
        self._say = say
        self._trouble = trouble
        self._over = over
        self._out: set[object] = set()
        self.problem = ""
        """What the last failure means, as long as nothing has gone well since."""

    def is_out(self, key: object = None) -> bool:
        """Whether one is under way; None: any."""
        return key in self._out if key is not None else bool(self._out)

    def send(
        self, call: Callable[[], T], done: Callable[[T | Failed], None] | None = None, key: object = None
    ) -> bool:
        """Have a call made.

        Args:
            call: is made by the storage thread.
            done: gets its result, in the main thread.
            key: which of several that may be under way together.

        Returns:
            False where that one is still under way: nothing is asked.
        """
        if key in self._out:
            return False
        self._out.add(key)

        def ended(result: T | Failed) -> None:
            self._out.discard(key)
            self._tell(result)
            if done is not None:
                done(result)

        self._storage.submit(self._name, call, ended)
        return True

    def _tell(self, result: T | Failed) -> None:
        problem = f"{self._trouble}: {result}" if isinstance(result, Failed) and self._trouble else ""
        if problem and (problem != self.problem or not self._over):
            self._say(problem)
        elif self.problem and not problem and self._over:
            self._say(self._over)
        self.problem = problem


class StorageInline:
    """Makes each call at once: for tests of the agent's steps."""

    def __init__(self) -> None:
        self._finished: list[_Job[object]] = []

    def submit(self, name: str, call: Callable[[], T], done: Callable[[T | Failed], None]) -> None:
        """Make the call; its result is kept until ``deliver``."""
        job = _Job(name, call, done)
        job.run()
        self._finished.append(cast("_Job[object]", job))

    def deliver(self) -> int:
        """Run the ``done`` of every call that was made, in order."""
        count = 0
        while self._finished:
            self._finished.pop(0).deliver()
            count += 1
        return count

    def outstanding(self) -> int:
        """How many calls have not been delivered."""
        return len(self._finished)

    def hangs(self, now: float) -> tuple[str, float] | None:  # noqa: ARG002
        """Nothing hangs here."""
        return None
