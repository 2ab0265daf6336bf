"""What script and agent leave word of in the try's own directory: that it is to be run again, that it is warned.

- ``requeue``: the script makes it, by the path that ``GPU_QUEUE_REQUEUE`` names.  That something stands there is the
  request, whatever it is: a file whose writing a full disk refused, a link, a directory.  A regular file's first line
  is the reason, for people.
- ``warned``: the agent writes it before it sends the signal of ``--signal``, so that a try is warned once.
"""

from __future__ import annotations

import os

from gpu_queue.execution.local import TryDirectory
from gpu_queue.execution.localfiles import line_of, read_small, write_in_place

REASON_MAX = 200
REQUEST = "GPU_QUEUE_REQUEUE"
"""The variable that names the file by which a script asks to be run again."""


def request_path(directory: TryDirectory) -> str:
    """Where a script asks to be run again."""
    return f"{directory.path}/requeue"


def asks(directory: TryDirectory) -> bool:
    """Whether its script has asked to be run again."""
    return os.path.lexists(request_path(directory))


def asked_because(directory: TryDirectory) -> str:
    """Why, as the script says; empty where it does not."""
    content = read_small(request_path(directory)) or b""
    line = content[: 4 * REASON_MAX].strip().partition(b"\n")[0]
    return line.decode(errors="replace").strip()[:REASON_MAX]


def write_warned(directory: TryDirectory, told: str) -> None:
    """Note that it is about to be warned.

    Args:
        directory: of the try.
        told: when, for people (UTC).

    Raises:
        OSError: the local disk takes it not.
    """
    write_in_place(f"{directory.path}/warned", f"{told}\n".encode())


def is_warned(directory: TryDirectory) -> bool:
    """Whether it was sent its signal, or was about to be."""
    return os.path.lexists(f"{directory.path}/warned")


def warned_at(directory: TryDirectory) -> str:
    """When, for people; empty: it was not, or nobody can tell."""
    return line_of(f"{directory.path}/warned") or ""
