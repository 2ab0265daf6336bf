"""The zygote as its agent sees it: started for the first worker, watched, left to rest after a fall, given up.

The zygote has torch imported, so that a worker starts in moments.  With it all workers go; the kernel sees to that.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from gpu_queue.keepalive.exchange import Exchange
from gpu_queue.keepalive.falls import Falls
from gpu_queue.keepalive.preflight import installing
from gpu_queue.keepalive.protocol import Channel, Ready, Spawn, WorkerSpec
from gpu_queue.units import format_duration

ZYGOTE_TIMEOUT_S = 300.0
"""Importing torch takes two seconds, on cold container storage twenty."""
ZYGOTE_ANSWERS_S = 10.0
"""So long it may take to tell of a fork, or of the end of a worker; then it hangs."""
FIRST_REST_S = 2.0
PROBLEM_REST_S = 600.0
"""What keeps the whole node from being held is tried again after this."""
FAREWELL_S = 2.0
"""Between the end of the zygote's socket and KILL; it gives its workers a second of it."""


class Starter:
    """Starts one agent's workers, by a zygote that it starts for them.

    Args:
        start_zygote: starts the process ``gpu_queue.keepalive.zygote`` on a descriptor; returns its pid.
        exchange: where the zygote is listened to.
        say: tells the agent's log.
        tell_change: called when ``problem`` is something that people should find soon.
    """

    def __init__(
        self,
        start_zygote: Callable[[int], int],
        exchange: Exchange,
        say: Callable[[str], None],
        tell_change: Callable[[], None],
    ) -> None:
        self._start_zygote = start_zygote
        self._exchange = exchange
        self._say = say
        self._tell_change = tell_change
        self.channel: Channel | None = None
        """To the zygote; None: there is none."""
        self._pid: int | None = None
        """Of the zygote, also of one that has ended and is not reaped yet."""
        self._is_ready = False
        self._since = 0.0
        self._falls = Falls(FIRST_REST_S)
        self._last_end = ""
        """How the last one ended."""
        self._not_before = float("-inf")
        self.problem = ""
        """Why nothing can be held on this node."""
        self._problem_at = float("-inf")
        self._problem_said = ""

    # -- starting ---------------------------------------------------------------------------------------------------

    def is_ready(self, now: float) -> bool:
        """Whether workers can be started now (monotonic); where there is no zygote, one is started."""
        if self.channel is None:
            self._start(now)
        return self.channel is not None and self._is_ready

    def _start(self, now: float) -> None:
        if now < self._not_before or not self._reap():
            return
        ours, theirs = Channel.pair()
        try:
            self._pid = self._start_zygote(theirs.fileno())
        except OSError as error:
            ours.close()
            self.give_up(f"its process cannot be started: {error}", now)
            return
        finally:
            theirs.close()
        self.channel, self._is_ready, self._since = ours, False, now
        self._exchange.add(ours)

    def spawn(self, spec: WorkerSpec, channel: Channel, place: int) -> bool:
        """Ask for a worker; False: it could not be asked for, and is wanted again.

        Args:
            spec: what it is to be.
            channel: its end of its socket, of which it gets a copy.
            place: the descriptor with the lock of the filler's place, as well.
        """
        return self.channel is not None and self.channel.send(Spawn(spec), [channel.fileno(), place])

    # -- watching ---------------------------------------------------------------------------------------------------

    def note_ready(self, ready: Ready, now: float, *, needs_cuda: bool) -> None:
        """It has imported torch."""
        if ready.cuda or not needs_cuda:
            self._is_ready = True
            return
        remedy = installing(ready.python, anew=True)
        self.give_up(f"torch {ready.torch} was built without CUDA; to mend it: {remedy}", now)
        if self._pid is not None:
            kill(self._pid)  # the next one imports what is installed by then

    def check(self, now: float, owed_for_s: float) -> bool:
        """Kill it where it hangs; whether it was killed for what it owes.

        Args:
            now: monotonic seconds.
            owed_for_s: how long it has owed a word about a worker, at most.
        """
        if self.channel is None or self._pid is None:
            return False
        if not self._is_ready:
            if now - self._since >= ZYGOTE_TIMEOUT_S:
                kill(self._pid)
                self.give_up(f"torch was not imported within {ZYGOTE_TIMEOUT_S / 60:.0f} min", now)
            return False
        if owed_for_s < ZYGOTE_ANSWERS_S:
            return False
        self._say("keep-alive: the process that starts its workers does not answer; it is killed")
        kill(self._pid)  # its workers go with it, and new ones come
        return True

    def note_end(self, now: float) -> None:
        """Its socket has ended."""
        assert self.channel is not None
        self._exchange.drop(self.channel)
        self.channel, self._is_ready = None, False
        self._reap()
        if self.problem:
            return
        rest_s = self._falls.add(now - self._since)
        self._not_before = now + rest_s
        if self._falls.are_too_many:
            times = f"{self._falls.count} times{self._last_end}"
            self.give_up(f"the process that starts its workers ended {times}", now)
        else:
            how = f"ended{self._last_end}; again in {format_duration(rest_s)}"
            self._say(f"keep-alive: the process that starts its workers {how}")

    def _reap(self) -> bool:
        """Whether no zygote is left."""
        if self._pid is not None:
            try:
                pid, wait_status = os.waitpid(self._pid, os.WNOHANG)
            except ChildProcessError:
                pid, wait_status = self._pid, 0
            if pid:
                self._pid = None
                self._last_end = f" ({how_ended(os.waitstatus_to_exitcode(wait_status))})"
        return self._pid is None

    # -- giving up --------------------------------------------------------------------------------------------------

    def give_up(self, problem: str, now: float) -> None:
        """For some time: somebody may install torch."""
        if self.problem:
            return
        self.problem, self._problem_at = problem, now
        self._tell_change()
        if problem != self._problem_said:
            self._problem_said = problem
            self._say(f"keep-alive: off: {problem}")

    def has_rested(self, now: float) -> bool:
        """Whether it was given up, and long enough ago to be tried again."""
        return bool(self.problem) and now - self._problem_at >= PROBLEM_REST_S

    def try_again(self) -> None:
        """Forget what went wrong."""
        self.problem = ""
        self._falls.forget()
        self._not_before = float("-inf")

    def close(self) -> None:
        """End the zygote, and with it all workers; waits for at most a moment."""
        if self.channel is not None:
            self._exchange.drop(self.channel)
            self.channel = None
        # One that is importing torch has no workers, and does not listen.
        kill_at = time.monotonic() + (FAREWELL_S if self._is_ready else 0.0)
        while not self._reap() and time.monotonic() < kill_at + FAREWELL_S:
            if time.monotonic() >= kill_at and self._pid is not None:
                kill(self._pid)  # its workers have asked the kernel to die with it
            time.sleep(0.005)


def how_ended(status: int) -> str:
    """How a process ended, in words; ``status`` as :func:`os.waitstatus_to_exitcode` gives it."""
    return f"signal {-status}" if status < 0 else f"status {status}"


def kill(pid: int) -> None:
    """KILL, to one that may have gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
