"""Shims that wait for their try, and the timer that all of a moment share.

- A start of a shell takes longer than all else that a start of a task does, so shims are started before their try is
  known, at most ``SPARES`` of them.  There is one way: a try that finds no spare starts one and uses it at once.
- A spare's directory is made, its lock taken and inherited, before its try has a name; a rename gives it that name.
  Until then it lies beside the tries and is none of them.
- A spare that is no longer wanted, and one whose agent died, reads the end of its pipe and is gone.
"""

from __future__ import annotations

import fcntl
import functools
import os
import secrets
import select
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpu_queue.execution import launcher
from gpu_queue.execution.local import AgentDirectory, TryDirectory
from gpu_queue.execution.terminal import terminal_for

SPARES = 2
TIMER_S = 4
_TIMER_USED_S = 2.0
"""A shared timer takes new shims for so long."""
_TIMERS = 4
_TIMER_MARGIN_S = 1.0
"""A timer that ends sooner might wake a shim that still reads what it is told."""
_F_SETOWN_EX = 15
_F_OWNER_TID = 0


class SharedTimer:
    """One ``sleep`` that wakes many shims.

    It holds the only writing end of a pipe, and when it ends, the kernel tells each shim so by ALRM (O_ASYNC of
    fcntl(2)).  So a short try needs no timer of its own, and there is no moment at which the life of the agent
    decides whether a shim begins to beat: a ``sleep`` that is killed, too, only wakes them sooner.
    """

    def __init__(self) -> None:
        self.pids: set[int] = set()
        """Of each ``sleep`` that is our child: the present one, and those that still wake somebody."""
        self._reading_end = -1
        self._ends_at = float("-inf")

    def subscribe(self, now: float) -> Subscription | None:
        """A subscription for a shim that is about to be started; None where there is no such timer."""
        if not async_pipes_work():
            return None
        self.reap()
        if self._ends_at - now < TIMER_S - _TIMER_USED_S:
            if len(self.pids) >= _TIMERS:
                return None  # they do not end; each shim has a timer of its own until they do
            self._begin(now)
        # A new open file, for the kernel tells one process for each.
        descriptor = os.open(f"/proc/self/fd/{self._reading_end}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return Subscription(descriptor, self._ends_at)

    def _begin(self, now: float) -> None:
        if self._reading_end >= 0:
            os.close(self._reading_end)  # those who wait for the last one have it open themselves
        self._reading_end, writing = os.pipe2(os.O_CLOEXEC)
        self._ends_at = float("-inf")
        try:
            self.pids.add(launcher.spawn_sleep(TIMER_S, writing))
            self._ends_at = now + TIMER_S
        finally:
            os.close(writing)

    def reap(self) -> None:
        """Take the exits of those that are over."""
        self.pids = {pid for pid in self.pids if not _has_ended(pid)}


@dataclass(frozen=True)
class Subscription:
    """A shim's part in a shared timer: nothing is told before :meth:`arm`."""

    descriptor: int
    """The shim has it too, so it outlives the agent."""
    ends_at: float

    def arm(self, pid: int, now: float) -> bool:
        """Have the shim told; False where it needs a timer of its own."""
        if self.ends_at - now < _TIMER_MARGIN_S:
            return False
        fcntl.fcntl(self.descriptor, fcntl.F_SETOWN, pid)
        fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGALRM)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        return not _is_over(self.descriptor)  # it may have ended before it was armed


def _is_over(reading_end: int) -> bool:
    poller = select.poll()
    poller.register(reading_end, 0)
    return bool(poller.poll(0))


@functools.cache
def async_pipes_work() -> bool:
    """Whether this kernel tells the end of a pipe by a signal.  It is tried, for a shim relies on it in silence."""
    number = signal.SIGURG  # ignored where it is not blocked
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        fcntl.fcntl(reading, _F_SETOWN_EX, struct.pack("ii", _F_OWNER_TID, threading.get_native_id()))
        fcntl.fcntl(reading, fcntl.F_SETSIG, number)
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        os.close(writing)
        writing = -1
        return signal.sigtimedwait([number], 1.0) is not None
    except (OSError, AttributeError):
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(reading)
        if writing >= 0:
            os.close(writing)


class Shim:
    """A shim that waits for its try, in a locked directory."""

    def __init__(
        self,
        directory: TryDirectory,
        shim: str,
        environment: Mapping[str, str],
        timer: SharedTimer | None = None,
        shell: Sequence[str] = ("/bin/sh",),
    ) -> None:
        """Start it.

        Args:
            directory: of its try to be; it is made and locked here.
            shim: ``NodeDirectory.install_shim()``.
            environment: what all scripts get.
            timer: where it may take part; None: it has a timer of its own.
            shell: what runs it.

        Raises:
            OSError: the local disk or the kernel took it not.
        """
        self.directory = directory
        self._environment = environment
        self._subscription: Subscription | None = None
        self._has_ended = False
        self._lock = self._orders = self._pipe = -1
        reading = -1
        try:
            directory.create()
            self._lock = directory.lock()
            self._orders = directory.make_orders()
            self._subscription = timer.subscribe(time.monotonic()) if timer is not None else None
            reading, self._pipe = os.pipe2(os.O_CLOEXEC)
            timer_end = self._subscription.descriptor if self._subscription is not None else -1
            with terminal_for(tuple(shell)) as terminal:
                self.pid = launcher.spawn_shim(
                    shim, environment, self._lock, reading, self._orders, timer_end, shell, terminal
                )
        except BaseException:
            self.close()
            directory.remove()
            raise
        finally:
            if reading >= 0:
                os.close(reading)

    def rename(self, directory: TryDirectory) -> bool:
        """Give it its try's directory; False if that is not sound: somebody tidied /tmp."""
        try:
            self.directory.rename(directory)
        except OSError:
            return False
        self.directory = directory
        return directory.is_locked_by(self._lock)

    def begin(self, spec: launcher.LaunchSpec) -> None:
        """Tell it what to run.  A shim that died meanwhile is found dead, like one that dies a moment later.

        Raises:
            OSError: the local disk took it not.
            ValueError: what no spool would say.
        """
        timed = (
            self._subscription is not None
            and spec.beat_s >= TIMER_S
            and self._subscription.arm(self.pid, time.monotonic())
        )
        launcher.tell(self._pipe, self._orders, launcher.orders(spec, self._environment, timed=timed))
        self.close()

    def dismiss(self) -> None:
        """Let it go without a try: it ends by itself, and is to be reaped."""
        self.close()
        self.directory.remove()

    def has_ended(self) -> bool:
        """Whether it is dead; then it is reaped."""
        self._has_ended = self._has_ended or _has_ended(self.pid)
        return self._has_ended

    def close(self) -> None:
        """Close what it is told through: one that was told nothing reads the end, and dies."""
        if self._subscription is not None:
            os.close(self._subscription.descriptor)
            self._subscription = None
        for descriptor in (self._pipe, self._orders, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._pipe = self._orders = self._lock = -1


class Shims:
    """The shims of one agent that have no try yet."""

    def __init__(self, home: AgentDirectory, install: Callable[[], str], environment: Mapping[str, str]) -> None:
        """Start none yet.

        Args:
            home: where their directories are.
            install: ``NodeDirectory.install_shim``.
            environment: what all scripts get.
        """
        self._home = home
        self._install = install
        self._shim = install()
        self._environment = environment
        self._timer = SharedTimer()
        self._spares: list[Shim] = []
        self._dismissed: list[Shim] = []

    @property
    def pids(self) -> set[int]:
        """Living children that belong to no try."""
        return {shim.pid for shim in (*self._spares, *self._dismissed)} | self._timer.pids

    def take(self, claim_name: str) -> Shim:
        """A shim in the directory of this try: a spare, or one that is started now.

        Raises:
            OSError: the local disk or the kernel took it not.
        """
        directory = self._home.try_directory(claim_name)
        while self._spares:
            shim = self._spares.pop()
            if not shim.has_ended() and shim.rename(directory):
                return shim
            self.dismiss(shim)
        return self._new(directory)

    def give_back(self, shim: Shim) -> None:
        """A try did not come about: its shim may wait for another."""
        if len(self._spares) < SPARES and shim.rename(self._home.spare_directory(secrets.token_hex(6))):
            self._spares.append(shim)
        else:
            self.dismiss(shim)

    def dismiss(self, shim: Shim) -> None:
        """Let one go."""
        shim.dismiss()
        self._dismissed.append(shim)

    def refill(self) -> None:
        """Start the spares that are missing.

        Raises:
            OSError: the local disk or the kernel took it not.
        """
        while len(self._spares) < SPARES:
            self._spares.append(self._new(self._home.spare_directory(secrets.token_hex(6))))

    def drop_spares(self) -> None:
        """Let all spares go: nothing more will be started."""
        while self._spares:
            self.dismiss(self._spares.pop())

    def reap(self) -> None:
        """Take the exits of those that no try waits for."""
        self._timer.reap()
        self._dismissed = [shim for shim in self._dismissed if not shim.has_ended()]

    def _new(self, directory: TryDirectory) -> Shim:
        if not os.path.exists(self._shim):  # somebody tidied /tmp; a shell without its script fails every task
            self._shim = self._install()
        return Shim(directory, self._shim, self._environment, self._timer)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
