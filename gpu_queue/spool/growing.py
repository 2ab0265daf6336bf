"""Reading files that grow, or are cut, while they are read: logs, histories."""

from __future__ import annotations

import os

from gpu_queue.spool.files import opened, read_all


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
