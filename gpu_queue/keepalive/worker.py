"""The process that fills one card: holds memory, launches kernels at the duty that it is given, and leaves at a word.

- One launch is in flight at most, and before each it looks at its socket; between launches it sleeps there.  So a
  pause, or the end, takes effect after one launch at the latest.
- It decides nothing about how busy to be: it obeys a duty that the agent renews, and pauses when none comes.  Of its
  own accord it pauses only when its kernels are stretched by somebody else's.
- It lives no longer than its agent (end of file on the socket) nor than its zygote (death signal).
- What it sends is dropped where the agent does not read: it never waits for anyone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import select
import signal
import socket
import time
from collections.abc import Callable
from statistics import fmean
from typing import NoReturn, Protocol

from gpu_queue.keepalive.pace import Pace, Stretch
from gpu_queue.keepalive.protocol import (
    PROCESS_NAME,
    Channel,
    Closed,
    Duty,
    Exit,
    Failed,
    Holding,
    Refused,
    Report,
    Shrunk,
    Starting,
    Tenant,
    WorkerSpec,
)

REPORT_S = 0.5
NICENESS = 10
_TEXT_CHARACTERS = 500
"""Of what is written for people: a CUDA error may be a page."""
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LIBC = ctypes.CDLL(None)


class Engine(Protocol):
    """What loads a card.  Any method may raise; then this worker is finished."""

    @property
    def tile(self) -> int:
        """N of what is multiplied at once; 0 if nothing is."""

    @property
    def halvings(self) -> int:
        """How often the goal was halved because memory ran out."""

    @property
    def held_bytes(self) -> int:
        """What it holds now."""

    def hold(self, look: Callable[[], None]) -> float:
        """Take the memory and measure the kernel.

        Args:
            look: to be called now and then; raises when it is time to leave.

        Returns:
            How long one launch takes, in seconds.
        """

    def launch(self) -> float:
        """Run one kernel to its end; how long it ran, in seconds."""

    def free(self) -> None:
        """Give everything back; also when :meth:`hold` did not get to its end."""


class _Leave(Exception):
    """It is time to go: by a word, by a signal, or because the agent has gone."""


class Worker:
    """The loop of one filler."""

    def __init__(
        self,
        spec: WorkerSpec,
        engine: Engine,
        channel: Channel,
        *,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] | None = None,
    ):
        """Nothing is touched yet.

        Args:
            spec: what was asked for.
            engine: what loads the card.
            channel: to the agent.
            wait: sleeps for so long, or until there is something to read.
            clock: a monotonic clock.
            chance: evenly distributed from 0 to 1.
        """
        self.is_told_to_leave = False
        """A signal handler may set it."""
        self._engine = engine
        self._channel = channel
        self._wait = wait
        self._clock = clock
        # A generator of its own: the shared one has the same state in all that a zygote forked.
        self._pace = Pace(spec.period_s, spec.tile_s, chance or random.Random().random)  # noqa: S311
        self._stretch = Stretch(spec.tile_s)
        self._tally = _Tally(clock())

    def run(self) -> int:
        """Hold and fill until it is time to go; the exit status."""
        try:
            self._hold()
            while True:
                self.step()
        except _Leave:
            return 0
        except Exception as error:  # whatever the driver came up with: told, and the agent decides
            self._channel.send(Failed(explain(error)))
            return 1
        finally:
            # On a card that fell off the bus freeing fails too, and the kernel frees what a process leaves.
            with contextlib.suppress(Exception):
                self._engine.free()

    def step(self) -> None:
        """Rest until something is due, listen, and launch one kernel if it is time."""
        now = self._clock()
        self._wait(max(0.0, min(self._pace.wait_s(now), self._tally.due_at - now)))
        self._look()
        if self._pace.wait_s(self._clock()) == 0:
            self._launch()
        now = self._clock()
        if now >= self._tally.due_at:
            self._channel.send(self._tally.report(now, self._engine.held_bytes))
            self._tally = _Tally(now)

    def _hold(self) -> None:
        self._look()
        self._channel.send(Starting())
        kernel_s = self._engine.hold(self._look)
        self._pace.kernel_s = kernel_s
        self._stretch = Stretch(kernel_s)
        if self._engine.halvings:
            self._channel.send(Shrunk(self._engine.held_bytes))
        self._channel.send(Holding(self._engine.held_bytes, self._engine.tile, kernel_s))
        self._tally = _Tally(self._clock())

    def _launch(self) -> None:
        kernel_s = self._engine.launch()
        stretch = kernel_s / self._stretch.normal_s
        self._pace.ran(kernel_s)
        evidence = self._stretch.note(kernel_s, self._clock())
        # The first after a rest run at a low clock: to the agent they would look like somebody else's work.
        self._tally.add(kernel_s, stretch if self._stretch.has_judged else None)
        if evidence is not None:
            self._pace.pause()
            self._channel.send(Tenant(evidence))

    def _look(self) -> None:
        """Obey all that has come.

        Raises:
            _Leave: it is time to go.
        """
        while not self.is_told_to_leave:
            try:
                message = self._channel.receive()
            except Closed:
                raise _Leave from None
            if message is None:
                return
            if isinstance(message, Exit):
                raise _Leave
            if isinstance(message, Duty):
                self._pace.obey(message.duty, message.for_s, self._clock())
            else:  # an answer all the same: whoever measures learns by it that all words before it are obeyed
                self._channel.send(Refused(f"a worker does not obey {type(message).__name__}"))
        raise _Leave


class _Tally:
    """What there is to report of one interval."""

    def __init__(self, now: float):
        self.due_at = now + REPORT_S
        self._since = now
        self._busy_s = 0.0
        self._stretches: list[float] = []
        self._bursts = 0

    def add(self, kernel_s: float, stretch: float | None) -> None:
        self._busy_s += kernel_s
        self._bursts += 1
        if stretch is not None:
            self._stretches.append(stretch)

    def report(self, now: float, held_bytes: int) -> Report:
        """All since it was begun."""
        busy = min(1.0, self._busy_s / (now - self._since))
        stretch = fmean(self._stretches) if self._stretches else 1.0
        return Report(round(busy, 4), round(stretch, 4), held_bytes, self._bursts)


def die_with_parent(does: bool) -> None:
    """Whether the kernel kills this process when its parent (strictly, the thread that started it) ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL if does else 0))


def become_worker(zygote_pid: int) -> None:
    """Make a freshly forked process a worker: its name, its priority, and that it dies with its zygote."""
    die_with_parent(True)
    if os.getppid() != zygote_pid:
        os._exit(1)  # it died before we asked to be told
    _LIBC.prctl(_PR_SET_NAME, os.fsencode(PROCESS_NAME))
    os.nice(NICENESS)


def serve(spec: WorkerSpec, channel: Channel, make_engine: Callable[[WorkerSpec], Engine]) -> NoReturn:
    """Be the worker of this process, which ends with it."""
    # A signal writes into one end, which ends the sleep on the other.
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        worker = Worker(
            spec,
            make_engine(spec),
            channel,
            # select() knows no descriptor above 1023, but waits to the microsecond; a worker has a handful of them.
            wait=lambda wait_s: select.select([channel.fileno(), woken.fileno()], [], [], wait_s),
        )

        def leave(_number: int, _frame: object) -> None:
            worker.is_told_to_leave = True

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The zygote's: a child that some library starts would wake this loop when it ends, and then for ever.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, leave)
        status = worker.run()
    except BaseException as error:  # nothing may get out into the zygote's own loop
        channel.send(Failed(explain(error)))
        status = 1
    os._exit(status)


def explain(error: BaseException) -> str:
    """One line about an error, with its kind where the text alone says little."""
    text = str(error).strip()
    if not (isinstance(error, RuntimeError) and text):
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    first = text.splitlines()[0].strip()
    return first if len(first) <= _TEXT_CHARACTERS else f"{first[:_TEXT_CHARACTERS]}…"
