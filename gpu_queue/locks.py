"""Locks whose descriptor matters: it passes to a shim or a worker, and the lock with it.

- A flock belongs to an open file description, and dies with its last copy.  Nobody says LOCK_UN, for that would free
  the copies too; a copy is closed instead.  ``filelock`` releases by LOCK_UN: it holds what nobody inherits, which is
  the agent's own lock and the mutex of :mod:`gpu_queue.gpus.leases`.
- A cleaner of /tmp may remove a file that is locked, and the next one to come would lock another inode under the same
  name: so after locking the inode is compared with the name's.
- Where somebody has removed the lock of a try that lives, nobody can hold it any more.  Then the try is known by its
  shim (:func:`note_process`), by pid and start time.
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


def is_alive(try_dir: str) -> bool:
    """Whether a try lives: somebody, this process included, holds its lock, or the process noted for it is there."""
    return is_locked(f"{try_dir}/lock") or _noted_is_there(f"{try_dir}/{_NOTED}")


def note_process(try_dir: str, pid: int, start_ticks: int) -> None:
    """Say by which process a try is known whose lock was removed.

    Raises:
        OSError: the local disk takes it not.
    """
    unfinished = f"{try_dir}/.{_NOTED}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, b"%d %d\n" % (pid, start_ticks))
    finally:
        os.close(descriptor)
    os.rename(unfinished, f"{try_dir}/{_NOTED}")


_NOTED = "found"


def _noted_is_there(path: str) -> bool:
    words = _read(path).split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return False
    fields = _read(f"/proc/{int(words[0])}/stat").rpartition(b")")[2].split()
    return len(fields) > 19 and fields[0] not in (b"Z", b"X") and fields[19] == words[1]


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
