"""Locks on this node: raw flocks, which belong to open file descriptions and die with them.

- Not ``filelock``: its lock is freed by unlocking, which would free the copy that a shim inherited, and it shows its
  descriptor to nobody, while we must pass it on and look at its inode.
- A cleaner of /tmp may remove a file that is locked, and the next one to come would lock another inode under the same
  name: so after locking the inode is compared with the name's.
- Nobody ever says LOCK_UN; a copy is closed instead.
"""

from __future__ import annotations

import fcntl
import os


def open_lock(path: str) -> int:
    """The descriptor of a lock file, which is made if it is missing; nothing is locked yet.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def try_lock(path: str) -> int | None:
    """A descriptor that holds the lock of the file at this path; None if another holds it.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = open_lock(path)
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
