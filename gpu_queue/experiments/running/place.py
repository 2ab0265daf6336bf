"""The queue that ``gpu-queue run`` keeps beside an experiment file."""

from __future__ import annotations

import os
import re

from gpu_queue.errors import SpoolError
from gpu_queue.spool.paths import SpoolPaths

BESIDE = ".gpu-queue"
_IGNORED = b"*\n"
_JOB_ID_CHARS = 150
_STRANGE = re.compile(r"^-|[\x00-\x1f\x7f]")


def own_spool(file: str) -> SpoolPaths:
    """Where the queue of an experiment file is, if nobody names another one; nothing is read or made.

    Args:
        file: its path, without links.
    """
    directory, name = os.path.split(file)
    return SpoolPaths(os.path.join(directory, BESIDE, _job_id(name)))


def _job_id(name: str) -> str:
    return _STRANGE.sub("_", os.path.splitext(name)[0])[:_JOB_ID_CHARS]


def make_place(paths: SpoolPaths) -> None:
    """Make the directory that the queue lies in, closed to others and unseen by git.

    Raises:
        SpoolError: it cannot be made.
    """
    directory = os.path.dirname(paths.root)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        ignored = os.open(f"{directory}/.gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        if os.path.isdir(directory):
            return
        raise SpoolError(f"{directory}: expected a directory; move it away, or give --job-id") from None
    except OSError as error:
        raise SpoolError(
            f"{directory}: cannot be made ({error.strerror}); with --job-id ID the queue lies in $QUEUE_ROOT"
        ) from error
    try:
        os.write(ignored, _IGNORED)
    finally:
        os.close(ignored)
