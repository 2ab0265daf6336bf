"""Who loads into a queue lets others on this machine do so first who were there first.

A courtesy: without it what two load at once is mended afterwards (:func:`plans.compare_once_more`).  The lock lies on
the machine's own disk, and only so long as it is held: on shared storage no lock is relied on.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gpu_queue.locks import try_lock
from gpu_queue.spool import files

DIRECTORY = "/tmp"  # noqa: S108  the same for all shells of a user, whatever TMPDIR says
WAIT_S = 10.0
TICK_S = 0.05


def lock_of(spool: str) -> str:
    """The path of the lock for a spool."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(spool))).hexdigest()[:16]
    return f"{DIRECTORY}/gpu-queue-loading.{os.getuid()}.{name}"


@contextmanager
def alone(spool: str) -> Iterator[None]:
    """Hold it, unless somebody else does for too long, or there can be none.

    Args:
        spool: the directory of the queue, which need not be there.
    """
    path = lock_of(spool)
    descriptor: int | None = None
    deadline = time.monotonic() + WAIT_S
    try:
        while (descriptor := try_lock(path)) is None and time.monotonic() < deadline:
            time.sleep(TICK_S)
    except OSError:
        pass  # a full disk, or a file of somebody else
    try:
        yield
    finally:
        if descriptor is not None:
            files.remove(path)  # before it is freed: whoever waits for it sees that it is gone, and makes it anew
            os.close(descriptor)
