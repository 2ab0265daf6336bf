"""What a shell needs to start its script in a process group of its own.

Many scripts end what they have started by ``kill 0`` or ``trap "kill 0" EXIT``: all of their process group.  Their
supervisor must not be in it, but must stay in their session, by which the processes of a try are found.  A shell does
just that by job control (``set -m``).  bash and dash from 0.5.13 have it anywhere; dash to 0.5.12 and busybox need a
controlling terminal.  What that costs, and what else would do: decision 0018.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gpu_queue.execution import launcher

_PROBE = ("-c", "set -m; case $- in *m*) exit 3 ;; esac")
_PROBE_STATUS = 3
_PROBE_S = 2.0


@contextmanager
def terminal_for(shell: tuple[str, ...]) -> Iterator[tuple[int, int] | None]:
    """Master and slave of a terminal, for the start of one shell; None where it needs none or cannot have one.

    It is closed here afterwards: who was started has it.
    """
    try:
        ends = os.openpty() if helps(shell) else None
    except OSError:  # too many are open: this script will share its shim's group
        ends = None
    if ends is None:
        yield None
        return
    master, slave = ends
    try:
        yield master, slave
    finally:
        os.close(slave)
        os.close(master)


@functools.cache
def helps(shell: tuple[str, ...]) -> bool:
    """Whether this shell has job control with a terminal only.  It is tried, once for each shell, in some 2 ms.

    Raises:
        OSError: it could not be tried now; it is tried again.
    """
    if _has_job_control(shell, None):
        return False
    master, slave = os.openpty()
    try:
        return _has_job_control(shell, slave)
    finally:
        os.close(slave)
        os.close(master)


def _has_job_control(shell: Sequence[str], slave: int | None) -> bool:
    pid = launcher.spawn_leader([*shell, *_PROBE], slave)
    # A shell that does not find itself in the foreground of its terminal asks again and again.
    give_up_at = time.monotonic() + _PROBE_S
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.WIFEXITED(status) and os.WEXITSTATUS(status) == _PROBE_STATUS
        if time.monotonic() > give_up_at:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.0005)
