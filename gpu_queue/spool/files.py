"""Reading and writing one file on storage that lies: the only code, with ``store``, that knows errno.

- A reader opens without following links and without waiting (a FIFO in pending/ must not hang anyone), looks at
  what it opened, and gets at most so many bytes.
- A writer writes a dot-file beside the target and renames it, so that nobody sees half a file; the name of the
  dot-file is random, so that a leftover wedges nobody.
- A write error may come as late as close (NFS, quotas): every close is checked before the rename.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

RECORD_MAX_BYTES = 64 << 10
TRANSIENT_ERRNOS = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR, errno.EAGAIN, errno.EREMOTEIO})
"""Errors after which nobody knows whether the thing was done, or whether it will be."""

REFUSING_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of storage that takes nothing at present: it is full, or may only be read, or a token has expired."""


MARK = stat.S_ISVTX
"""A permission bit that means nothing on a file, and that only its owner can take away: we made it, it is no script.

Who may write in a directory may rename what others have put there: a page of ours that quotes the name of his file
would become a script that does what he wrote into that name.
"""
OURS = "it was written by an agent or a client of the queue, and not as a script (it has the sticky bit)"


class FileProblem(Exception):
    """A file that cannot be used: ``str()`` is the reason for people."""


class Vanished(FileProblem):
    """The file is not there (any more)."""


def is_transient(error: OSError) -> bool:
    """Whether asking again later may give another answer."""
    return error.errno in TRANSIENT_ERRNOS


def is_storages(error: OSError) -> bool:
    """Whether the storage is to blame, and not the one name that was asked for."""
    return is_transient(error) or error.errno in REFUSING_ERRNOS


def advice(path: str, error: OSError | None) -> str:
    """What to do where a file could not be written, by what can be seen there, for people."""
    directory = os.path.dirname(path)
    try:
        mode = os.lstat(directory).st_mode
    except FileNotFoundError:
        return f"{directory} is missing: an agent of this queue makes it again within seconds, and so may you"
    except OSError as unseen:
        return f"{directory} cannot be looked at ({unseen.strerror})"
    if not stat.S_ISDIR(mode):
        return f"{directory} should be a directory, and is a {kind_of(mode)}: move it away, and it is made again"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"you may not write into {directory}"
    if error is not None and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the storage, or your share of it, is full"
    return "check that the storage is not full and that you may write there"


def kind_of(mode: int) -> str:
    """What a file is, in a word, by its ``st_mode``."""
    for is_kind, word in (
        (stat.S_ISREG, "regular file"),
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISDIR, "directory"),
        (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"),
    ):
        if is_kind(mode):
            return word
    return "device"


def read_regular(
    path: str, limit_bytes: int, allowed_uids: frozenset[int] | None = None
) -> tuple[bytes, os.stat_result]:
    """The first bytes of a regular file, and what was opened.

    Raises:
        Vanished: it is not there.
        FileProblem: it is no regular file, belongs to a stranger, or may not be read.
        OSError: the storage failed; ask again later.
    """
    with opened(path, allowed_uids) as (descriptor, facts):
        return read_all(descriptor, limit_bytes, 0), facts


def read_script(path: str, limit_bytes: int, allowed_uids: frozenset[int] | None) -> tuple[bytes, os.stat_result]:
    """The first bytes of a file that is to be run, and what was opened.

    Raises:
        Vanished: it is not there.
        FileProblem: as of :func:`read_regular`; or it is one of our own making, whoever gave it another name.
        OSError: the storage failed; ask again later.
    """
    with opened(path, allowed_uids) as (descriptor, facts):
        if is_ours(facts):
            raise FileProblem(OURS)
        return read_all(descriptor, limit_bytes, 0), facts


def is_ours(facts: os.stat_result) -> bool:
    """Whether a file was made by :func:`create`: a page, a record, a log, and never a script."""
    return bool(facts.st_mode & MARK)


def create(path: str, flags: int, above: int | None = None) -> int:
    """Open a file that is made if it is missing, with the mark of what we make ourselves; returns the descriptor.

    Args:
        path: the file.
        flags: beside those that make it, and open it for writing.
        above: the directory that a relative path begins in.

    Raises:
        OSError: it cannot be opened.
    """
    flags |= os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600 | MARK, dir_fd=above)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
        return os.open(path, flags, 0o600, dir_fd=above)  # a server that gives the bit to nobody


@contextmanager
def opened(path: str, allowed_uids: frozenset[int] | None) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file, opened without following a link and without waiting."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise Vanished("it is gone") from None
        if error.errno == errno.ELOOP:
            raise FileProblem("it is a symbolic link; expected a regular file") from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise FileProblem("it cannot be read by the agent's user; chmod u+r it") from None
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise FileProblem("it is a socket or device; expected a regular file") from None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FileProblem(f"it is a {kind_of(facts.st_mode)}; expected a regular file")
        if allowed_uids is not None and facts.st_uid not in allowed_uids:
            raise FileProblem(f"it belongs to uid {facts.st_uid}, who may not run tasks here")
        yield descriptor, facts
    finally:
        os.close(descriptor)


def read_all(descriptor: int, limit_bytes: int, offset: int) -> bytes:
    """So many bytes from an offset, or what there is of them."""
    pieces = []
    while limit_bytes > 0:
        piece = os.pread(descriptor, limit_bytes, offset)
        if not piece:
            break
        pieces.append(piece)
        limit_bytes -= len(piece)
        offset += len(piece)
    return b"".join(pieces)


def mark_of(path: str) -> tuple[int, int] | None:
    """Inode and mtime of a regular file, as the server has them now; None if it is not there.

    It is opened for that: on NFS only an open asks the server (close-to-open), a ``stat`` may be a minute behind.

    Raises:
        OSError: the storage failed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if is_transient(error):
            raise
        facts = os.lstat(path)  # only its owner may read it, or it is no file at all: it may stand still as well
    else:
        try:
            facts = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    return facts.st_ino, facts.st_mtime_ns


@dataclass(frozen=True)
class Found:
    """What one opening of a file told."""

    mark: tuple[int, int] | None
    """As of :func:`mark_of`."""
    content: bytes | None = None
    """None: it is as it was known, or cannot be read."""
    problem: str = ""
    """Why it cannot be read, for people."""


def read_if_other(path: str, known: tuple[int, int] | None, limit_bytes: int) -> Found:
    """The first bytes of a regular file unless it has a known mark; it is opened once.

    Args:
        path: the file.
        known: its mark when it was read last; None: it was not.
        limit_bytes: the most.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        with opened(path, None) as (descriptor, facts):
            mark = facts.st_ino, facts.st_mtime_ns
            return Found(mark, None if mark == known else read_all(descriptor, limit_bytes, 0))
    except Vanished:
        return Found(None)
    except FileProblem as problem:
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            return Found(None)
        return Found((facts.st_ino, facts.st_mtime_ns), None, str(problem))


def read_json(
    path: str, allowed_uids: frozenset[int] | None = None, limit_bytes: int = RECORD_MAX_BYTES
) -> dict[str, Any]:
    """A JSON object of a bounded size; undecodable bytes of names survive as surrogates.

    Raises:
        Vanished: it is not there.
        FileProblem: it is too large, no JSON, or no object.
        OSError: the storage failed; ask again later.
    """
    content, _ = read_regular(path, limit_bytes + 1, allowed_uids)
    if len(content) > limit_bytes:
        raise FileProblem(f"it is larger than {limit_bytes} bytes")
    return decode_json(content)


def decode_json(content: bytes) -> dict[str, Any]:
    """A JSON object from the bytes of a file.

    Raises:
        FileProblem: it is no JSON, or no object.
    """
    try:
        value = json.loads(content.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise FileProblem(f"it is no JSON ({error})") from None
    if not isinstance(value, dict):
        raise FileProblem(f"it holds a {type(value).__name__}; expected a JSON object")
    return value


def encode_json(value: dict[str, Any]) -> bytes:
    """One line of JSON; surrogates go back to the bytes they came from."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape") + b"\n"
    except UnicodeEncodeError:  # a surrogate that stands for no byte: JSON can spell it, UTF-8 cannot
        return json.dumps(value, default=str).encode("ascii") + b"\n"


def write_all(descriptor: int, content: bytes) -> None:
    """All of it, however little is taken at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def hand_over(path: str | int, directory: str) -> None:
    """Give what root has made to the owner of the directory that it lies in.

    Root serves a user's spool in many containers; the user must be able to read logs and node files.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = os.stat(directory)
        if os.stat(path).st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)
    except OSError:
        pass  # storage that squashes root: it is as readable as that storage makes it


def write_whole(path: str, content: bytes, permissions: int = 0, *, is_synced: bool = False) -> None:
    """Put a file in place by a rename out of a dot-file beside it.

    Args:
        path: the file.
        content: all of it.
        permissions: who may read and write it, beside its owner.
        is_synced: it is on its storage before it has its name.

    Raises:
        OSError: it could not be written; the dot-file was removed if possible.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name[:100]}.{secrets.token_hex(6)}"
    try:
        descriptor = create(temporary, os.O_EXCL)
        try:
            write_all(descriptor, content)
            hand_over(descriptor, directory)
            if permissions & 0o066:
                os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | permissions & 0o066)
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # swept by age, like every dot-file
        raise


def write_once(path: str, content: bytes) -> None:
    """Put a file in place unless there is one: of two who do so at once one must give way.

    Raises:
        OSError: it could not be written.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name[:100]}.{secrets.token_hex(6)}"
    write_new(temporary, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a filesystem without links
        os.rename(temporary, path)
    finally:
        remove(temporary)


def write_new(path: str, content: bytes, *, is_script: bool = False) -> None:
    """Write a file that nobody looks at yet: whoever made its name up renames it, or what names it, later.

    Args:
        path: the file.
        content: all of it.
        is_script: it is somebody's, to be run.

    Raises:
        OSError: it could not be written; what there is of it was removed if possible.
    """
    if is_script:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    else:
        descriptor = create(path, os.O_EXCL)
    try:
        try:
            write_all(descriptor, content)
            hand_over(descriptor, os.path.dirname(path))
        finally:
            os.close(descriptor)
    except OSError:
        remove(path)
        raise


def sync(path: str) -> None:
    """Have a file on its storage before this returns.

    Raises:
        OSError: it is not.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> bool:
    """Remove a file; whether there is none now, as far as the storage says."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def server_now_ns(directory: str) -> int:
    """The server's clock in epoch nanoseconds: the time that it gives a file that is just written there.

    Raises:
        OSError: nothing can be written there.
    """
    path = f"{directory}/.now.{secrets.token_hex(6)}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)
        try:
            os.unlink(path)
        except OSError:
            pass  # swept by age, like every dot-file


def server_now_s(directory: str) -> float:
    """The same in seconds.

    Raises:
        OSError: nothing can be written there.
    """
    return server_now_ns(directory) / 1e9
