"""Runs a program that may take minutes, or hang, for an agent that must not wait: a way, or ``submit.sh``.

- Nothing here may wait in the main thread or on the one for storage: the program may lie on storage that hangs, and
  so may what it asks.  So each run has a thread of its own, and whatever it has started is killed when its time is
  over, or when nobody wants to know any more.
- What it prints is read when it has ended, and no more than a pipe holds: one that prints without end stands still
  until it is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from gpu_queue.errors import WayError
from gpu_queue.execution.processes import pids, read_process, send

OUTPUT_MAX_BYTES = 64 << 10
_WAIT_TICK_S = 0.02
_KILLED_S = 5.0
"""So long a killed program is waited for; one that the kernel keeps is left to it."""


class Background:
    """One run of a program."""

    def __init__(
        self,
        find: Callable[[], Sequence[str]],
        environment: Mapping[str, str],
        timeout_s: float,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            find: the program and what it is told; called in the thread, for to look for it may hang as well.  Its
                OSError, ValueError or WayError is the ``problem``.
            environment: of the program.
            timeout_s: then it is killed.
            done: is called in the thread when it has ended.
        """
        self._find = find
        self._environment = dict(environment)
        self._timeout_s = timeout_s
        self._done = done
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self.status: int | None = None
        """Its exit status, negative for a signal; None: see ``problem``."""
        self.output = ""
        self.words = ""
        """What it printed to stderr."""
        self.problem = ""
        """Why there is no status, for people."""
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def has_begun(self) -> bool:
        """Whether the program was started, or will not be."""
        with self._lock:
            return self._process is not None or self.is_over()

    def close(self) -> None:
        """Kill it, if it runs."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                _kill_session(self._process.pid)

    def _run(self) -> None:
        try:
            self._wait_for_it(self._find())
        except (WayError, OSError, ValueError) as error:
            self.problem = str(error)
        self._done()

    def _wait_for_it(self, arguments: Sequence[str]) -> None:
        with self._lock:
            if self._is_closed:
                raise WayError("it was not asked")
            # A start returns when the program has been entered, and stops all threads until then: that is the local
            # shell, which enters the program.
            self._process = process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$0" "$@"', *arguments],
                cwd="/",
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert process.stdout is not None
        assert process.stderr is not None
        with process.stdout, process.stderr:
            try:
                status = _wait(process, self._timeout_s)
                if status is None:
                    _kill_session(process.pid)
                    _wait(process, _KILLED_S)
                    raise WayError(f"it has not answered in {self._timeout_s:g} s, and was killed")
            finally:
                with self._lock:
                    self._process = None
            self.output, self.words = _what_is_there(process.stdout), _what_is_there(process.stderr)
        self.status = status


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> int | None:
    """The exit status, negative for a signal; None: it runs on.

    Raises:
        WayError: somebody else has taken it (:mod:`gpu_queue.execution.orphans`), which ``Popen.wait`` takes for 0.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            pid, status = os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            process.returncode = 255
            raise WayError("nobody knows how it ended") from None
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        if time.monotonic() >= deadline:
            return None
        time.sleep(_WAIT_TICK_S)


def _what_is_there(pipe: IO[bytes]) -> str:
    # To its end it is not read: something that the program has left running may hold it open.
    os.set_blocking(pipe.fileno(), False)
    try:
        content = os.read(pipe.fileno(), OUTPUT_MAX_BYTES)
    except BlockingIOError:
        content = b""
    return content.decode("utf-8", "replace")


def _kill_session(leader: int) -> None:
    """Kill a program and what it has started: ``timeout`` makes groups of its own."""
    for row in map(read_process, pids()):
        if row is not None and row.session == leader:
            send(row, signal.SIGKILL)
