"""Opening a file below a directory that is allowed, whatever somebody puts there: no link is followed inside it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_queue.console.phrasebook import REFUSALS
from gpu_queue.texts import printable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class CannotRead(Exception):
    """A file that is not read, and why: a variant of ``cannot_read`` in ``phrasebook.REFUSALS``."""

    def __init__(self, variant: str, file: str, **params: object) -> None:
        self.code = f"cannot_read.{variant}"
        self.params: dict[str, object] = {"file": file, **params}
        super().__init__(REFUSALS[self.code].filled(self.params)[0])

    @property
    def is_missing(self) -> bool:
        """It is not there."""
        return self.code == "cannot_read.missing"


@dataclass(frozen=True)
class Opened:
    """An open file."""

    descriptor: int
    size: int
    inode: str
    """Another one: another file."""
    modified_s: float

    def read(self, offset: int, count: int) -> bytes:
        """Bytes from an offset; less where the file ends."""
        pieces = []
        while count > 0:
            piece = os.pread(self.descriptor, count, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            count -= len(piece)
        return b"".join(pieces)


@contextlib.contextmanager
def opened(root: str, below: str) -> Iterator[Opened]:
    """A regular file below a directory, opened component by component.

    Args:
        root: the directory; links in its own path are resolved, once.
        below: the path below it; ``..`` and links are refused.

    Raises:
        CannotRead: it is not there, or is nothing that is read.
        OSError: the storage failed.
    """
    parts = [one for one in below.split("/") if one not in ("", ".")]
    name = printable(below)
    if not parts or ".." in parts or "\0" in below:
        raise CannotRead("below", name, root=printable(root))
    try:
        descriptor = os.open(os.path.realpath(root), _DIRECTORY)
    except OSError as error:
        raise _told(root, error) from None
    try:
        for part in parts[:-1]:
            descriptor = _into(descriptor, part, _DIRECTORY, name)
        descriptor = _into(descriptor, parts[-1], _FILE, name)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise CannotRead("irregular", name)
        yield Opened(descriptor, facts.st_size, f"{facts.st_dev:x}-{facts.st_ino:x}", facts.st_mtime)
    finally:
        os.close(descriptor)


def _into(descriptor: int, part: str, flags: int, name: str) -> int:
    try:
        return _swap(descriptor, os.open(part, flags, dir_fd=descriptor))
    except OSError as error:
        raise _told(name, error) from None


def _swap(old: int, new: int) -> int:
    # The caller closes what it holds: exactly one of them.
    os.dup2(new, old, inheritable=False)
    os.close(new)
    return old


def _told(name: str, error: OSError) -> Exception:
    name = printable(name)
    if error.errno == errno.ENOENT:
        return CannotRead("missing", name)
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return CannotRead("link", name)
    if error.errno in (errno.EACCES, errno.EPERM, errno.ENXIO, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL):
        return CannotRead("failed", name, problem=str(error.strerror))
    return error
