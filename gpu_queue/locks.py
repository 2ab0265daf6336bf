"""Locks whose descriptor matters: it passes to a shim or a worker, and the lock with it.

- A flock belongs to an open file description, and dies with its last copy.  Nobody says LOCK_UN, for that would free
  the copies too; a copy is closed instead.  ``filelock`` releases by LOCK_UN: it holds what nobody inherits, which is
  the agent's own lock and the mutex of :mod:`gpu_queue.gpus.leases`.
- A cleaner of /tmp may remove a file that is locked, and the next one to come would lock another inode under the same
  name: so after locking the inode is compared with the name's.
- The keep-alive's worker asks for such locks as well, by a Python that may have nothing but torch: only the standard
  library is used here.
"""

from __future__ import annotations

import fcntl
import os


def try_lock(path: str) -> int | None:
    """A descriptor that holds the lock of the file at this path; None if another holds it.

    Raises:
        OSError: the file cannot be opened, or is a link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if _flock(descriptor, fcntl.LOCK_EX) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except FileNotFoundError:
        pass  # removed between our open and our look: the next attempt makes it anew
    os.close(descriptor)
    return None


def is_locked(path: str) -> bool:
    """Whether somebody, this process included, holds the lock of this file.

    The probe asks for a shared lock, so that two who look at once do not take each other for the holder.  A file that
    cannot be asked counts as locked: unknown is never free.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return not isinstance(error, (FileNotFoundError, NotADirectoryError))
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
