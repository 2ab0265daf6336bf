"""The content of a file that a person hands over, as far as it is a file at all."""

from __future__ import annotations

import os

from gpu_queue.spool import files


def read_handed(path: str, what: str, max_bytes: int) -> bytes:
    """Read it; nothing that is no regular file is waited for.

    Args:
        path: of the file, without links.
        what: it is expected to be, with its article.
        max_bytes: that it may have, a multiple of 2**20.

    Raises:
        ValueError: it cannot be read, is no file, or is too large; the message says which, without the path.
    """
    try:
        content, _ = files.read_regular(path, max_bytes + 1)
    except files.Vanished:
        raise ValueError("there is no such file") from None
    except files.FileProblem as problem:
        why = "it is a directory" if os.path.isdir(path) else str(problem)
        raise ValueError(f"expected {what}: {why}") from problem
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > max_bytes:
        raise ValueError(f"expected {what} of at most {max_bytes >> 20} MiB")
    return content
