"""The copy of a script that runs: local, so that an edit or a hung server does not change a running task."""

from __future__ import annotations

import os

from gpu_queue.execution.localfiles import write_all


def prepare_script(content: bytes) -> tuple[bytes, list[str]]:
    """What is run of a script, and notes for its log.

    A script written on Windows (every line ends in CR LF) would fail in a shell with messages that show nothing:
    its line ends are converted in the copy.
    """
    lines = content.count(b"\n")
    if lines and content.count(b"\r\n") == lines:
        return content.replace(b"\r\n", b"\n"), ["line ends were CR LF (Windows); LF in the copy that runs"]
    return content, []


def write_script(path: str, content: bytes) -> None:
    """Write the copy.

    Raises:
        OSError: the local disk takes it not.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)
