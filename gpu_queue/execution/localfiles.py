"""Small files on the node's own disk.  What is read may be torn, missing or garbage; reading never raises."""

from __future__ import annotations

import os

_READ_LIMIT = 1 << 20


def names_in(directory: str) -> list[str]:
    """What lies in a directory, without dot-files; nothing where it cannot be listed."""
    try:
        return [name for name in os.listdir(directory) if not name.startswith(".")]
    except OSError:
        return []


def read_small(path: str) -> bytes | None:
    """What a regular file holds, up to a megabyte; None where it cannot be read."""
    try:
        # Without O_NONBLOCK a named pipe of that name would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(descriptor, _READ_LIMIT)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def line_of(path: str, number: int = 0) -> str | None:
    """The first line, or another, if it is complete."""
    *lines, _ = (read_small(path) or b"").split(b"\n")
    return lines[number].decode(errors="replace") if number < len(lines) else None


def number_below(text: str | None, below: int) -> int | None:
    """A number in digits; None for anything else."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) < below else None


def replace_whole(path: str, content: bytes) -> None:
    """Put a file in place by a rename.

    Raises:
        OSError: the local disk takes it not.
    """
    head, tail = os.path.split(path)
    unfinished = f"{head}/.{tail}.{os.getpid()}"
    write_in_place(unfinished, content)
    os.rename(unfinished, path)


def write_in_place(path: str, content: bytes) -> None:
    """Write a file, or over it.

    Raises:
        OSError: the local disk takes it not.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write the whole of it, however little the kernel takes at a time.

    Raises:
        OSError: it takes no more; how much of it is written nobody knows.
    """
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
