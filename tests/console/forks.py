"""Consoles that start at once: each is a fork of a process that has imported all that a console is made of.

Imports take four fifths of a console's start.  What is forked runs the program from its first line to its end, as a
process of its own; only its command line and its environment in /proc are those of what it was forked from.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAIN = str(ROOT / "gpu_queue" / "console" / "__main__.py")
_REQUEST_MAX = 1 << 20


class Fork:
    """A process that is no child of this one, with the part of ``subprocess.Popen`` that tests need."""

    def __init__(self, pid: int, ends: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ends = ends

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._ends], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._ends], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(MAIN, timeout or 0)
            self._read()
        assert self.returncode is not None
        return self.returncode

    def _read(self) -> None:
        told = os.read(self._ends, 100)
        os.close(self._ends)
        assert told, "whoever waits for it was killed"
        self.returncode = int(told)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Server:
    """The process that is forked, one for each that runs tests."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_MAX)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._control.close()
        self._process.wait()

    def fork(self, words: Sequence[str], environment: dict[str, str], out: int, err: int, before: str) -> Fork:
        told, tells = os.pipe()
        try:
            request = json.dumps([list(words), environment, before]).encode()
            socket.send_fds(self._control, [request], [out, err, tells])
        finally:
            os.close(tells)
        pid = os.read(told, 8)
        assert pid, "what consoles are forked from has ended"
        return Fork(int.from_bytes(pid, "little"), told)


_servers: dict[int, _Server] = {}
"""By the process whose they are: those that it forks make their own."""


def start(words: Sequence[str], environment: dict[str, str], out: int, err: int, before: str = "") -> Fork:
    """A console with this command line, as it runs in ``/`` with nothing to read.

    Args:
        words: of its command line, without the program.
        environment: all of it.
        out, err: where it writes to, as descriptors.
        before: Python that it runs before its program.
    """
    server = _servers.get(os.getpid())
    if server is None:
        server = _servers[os.getpid()] = _Server()
    return server.fork(words, environment, out, err, before)


def _served(control: socket.socket) -> list[str] | None:
    """Fork for each request; returns in each fork with its command line, and with None when nobody asks any more."""
    while True:
        request, fds, _, _ = socket.recv_fds(control, _REQUEST_MAX, 3)
        if not request:
            return None
        if os.fork() == 0:
            break
        for fd in fds:
            os.close(fd)
    control.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, tells = fds
    pid = os.fork()
    if pid:
        _tell_the_end(pid, tells)
    words, environment, before = json.loads(request)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, max(fds) + 1)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    exec(before, {})
    return list(words)


def _tell_the_end(pid: int, tells: int) -> None:
    """As the parent of the process: it alone learns how it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for fd in range(3):
        os.close(fd)
    os.write(tells, pid.to_bytes(8, "little"))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(tells, str(status).encode())
    os._exit(0)


def _main() -> None:
    import gpu_queue.console.main
    import gpu_queue.console.process
    import gpu_queue.console.serving  # noqa: F401

    with socket.socket(fileno=int(sys.argv[1])) as control:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that tell the end of a console
        gc.freeze()
        words = _served(control)
    if words is not None:
        sys.argv = [MAIN, *words]
        runpy.run_path(MAIN, run_name="__main__")


if __name__ == "__main__":
    sys.path[:] = [str(ROOT), *sys.path[1:]]
    _main()
