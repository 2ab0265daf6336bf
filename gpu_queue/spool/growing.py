"""Files that grow, or are cut, while they are read: logs, histories."""

from __future__ import annotations

import errno
import os
import stat

from gpu_queue.spool.files import create, hand_over, kind_of, opened, read_all, write_all

_OPEN_ATTEMPTS = 5


def read_tail(path: str, inode: int, offset: int, limit_bytes: int) -> tuple[bytes, os.stat_result]:
    """The end of a regular file that grows: what came after an offset, but no more than the limit.

    Args:
        path: the file.
        inode: of the file that the offset was found in; of another one, or one that was cut, the end is read.
        offset: where the last reading ended.
        limit_bytes: the most; where more has come the first line is likely torn.

    Returns:
        The bytes up to the end, and what was opened; its ``st_size`` is where they end.

    Raises:
        Vanished: it is not there.
        FileProblem: it is no regular file, or may not be read.
        OSError: the storage failed; ask again later.
    """
    with opened(path, None) as (descriptor, facts):
        start = offset if facts.st_ino == inode and offset <= facts.st_size else 0
        start = max(start, facts.st_size - limit_bytes)
        return read_all(descriptor, facts.st_size - start, start), facts


def read_window(path: str, offset: int, limit_bytes: int) -> tuple[bytes, int, os.stat_result]:
    """Some bytes of a regular file that may grow or be cut meanwhile.

    Args:
        path: the file.
        offset: where to begin; negative: so many bytes before its end.
        limit_bytes: the most.

    Returns:
        The bytes, where they begin (never beyond the end), and what was opened.

    Raises:
        Vanished: it is not there.
        FileProblem: it is no regular file, or may not be read.
        OSError: the storage failed; ask again later.
    """
    with opened(path, None) as (descriptor, facts):
        start = max(0, facts.st_size + offset) if offset < 0 else min(offset, facts.st_size)
        return read_all(descriptor, limit_bytes, start), start, facts


def open_to_append(path: str) -> int:
    """A descriptor that adds to the end of a file, which is made exclusively if it is missing.

    No link is followed, neither to the file nor to its directory, and a FIFO there makes nobody wait.  A file with
    another name is refused as well: that one may lie in somebody's home.

    Raises:
        FileNotFoundError: its directory is missing.
        NotADirectoryError: something else, a link to a directory too, stands in the place of its directory.
        NotRegular: the same of the file itself.
        OSError: it could not be opened.
    """
    directory, name = os.path.split(path)
    try:
        above = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError as error:
        raise NotADirectoryError(error.errno, "expected a directory that is no link", directory) from None
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = _open_or_make(above, name, flags)
    except OSError as error:
        if error.errno in _NOT_REGULAR:
            raise NotRegular(error.errno, _NOT_REGULAR[error.errno], path) from None
        raise type(error)(error.errno, error.strerror, path) from None
    finally:
        os.close(above)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotRegular(errno.EINVAL, f"it is a {kind_of(facts.st_mode)}; expected a regular file", path)
        if facts.st_nlink > 1:
            raise NotRegular(errno.EMLINK, "it has another name (a hard link); expected a file of its own", path)
        hand_over(descriptor, directory)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class NotRegular(OSError):
    """What is to be appended to is no regular file of one name."""


_NOT_REGULAR = {
    errno.ELOOP: "it is a symbolic link; expected a regular file",
    errno.EISDIR: "it is a directory; expected a regular file",
    errno.ENXIO: "it is a FIFO or a socket; expected a regular file",
    errno.ENODEV: "it is a device; expected a regular file",
}


def _open_or_make(above: int, name: str, flags: int) -> int:
    for _ in range(_OPEN_ATTEMPTS):
        try:
            return os.open(name, flags, dir_fd=above)
        except FileNotFoundError:
            pass
        try:
            return create(name, flags | os.O_EXCL, above)
        except FileExistsError:
            continue  # somebody was quicker
    raise OSError(errno.EAGAIN, "it is made and removed again all the time")


def append(path: str, content: bytes) -> int:
    """Add to the end of a file (:func:`open_to_append`); returns how many bytes it has then.

    Raises:
        OSError: it could not be written.
    """
    descriptor = open_to_append(path)
    try:
        write_all(descriptor, content)
        return os.lseek(descriptor, 0, os.SEEK_CUR)  # what was appended ends where the file does: no server is asked
    finally:
        os.close(descriptor)
