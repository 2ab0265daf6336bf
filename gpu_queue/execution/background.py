"""Runs a program of ours that may take minutes, for an agent that must not wait: ``submit.sh``, for its successor.

- The start may hang (the program lies on shared storage), and so may the program.  So each has a thread of its own,
  and is killed with all that it started when its time is over, or when nobody wants to know any more.
- What it prints is read when it has ended, and no more than a pipe holds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from gpu_queue.execution.processes import pids, read_process, send

OUTPUT_MAX_BYTES = 64 << 10
_KILLED_S = 5.0
"""So long a killed program is waited for; one that the kernel keeps is left to it."""


class Background:
    """One run of a program."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        timeout_s: float,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            arguments: the program, and what it is told.
            environment: its own.
            timeout_s: then it is killed.
            done: is called in the thread when it has ended.
        """
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._timeout_s = timeout_s
        self._done = done
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        self.status: int | None = None
        """Its exit status; None: it could not be started, or was killed."""
        self.output = ""
        self.words = ""
        """What it printed to stderr; or why there is no status."""
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Kill it, if it runs."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                _kill_session(self._process.pid)

    def _run(self) -> None:
        try:
            self._wait_for_it()
        except (OSError, ValueError) as error:
            self.words = str(error)
        self._done()

    def _wait_for_it(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            # A start returns when the program has been entered, and stops all threads until then: that is the local
            # shell, which enters the program.
            self._process = process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$0" "$@"', *self._arguments],
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
                self.status = process.wait(self._timeout_s)
            except subprocess.TimeoutExpired:
                self.words = f"it has not ended in {self._timeout_s:.0f} s, and was killed"
                _kill_session(process.pid)
                try:
                    process.wait(_KILLED_S)
                except subprocess.TimeoutExpired:
                    pass
            finally:
                with self._lock:
                    self._process = None
            self.output = _what_is_there(process.stdout)
            self.words = self.words or _what_is_there(process.stderr)


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
