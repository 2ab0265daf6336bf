"""What a script said last, where that tells what to change."""

from __future__ import annotations

import re

from gpu_queue.spool import files, growing

_TAIL_BYTES = 16 << 10
_IN_USE = re.compile(
    rb"EADDRINUSE|[Aa]ddress already in use|another process is utilizing it|errno: ?98\b|\[Errno 98\]"
)
_PORTS = (
    re.compile(rb"(?:\]|[0-9]|localhost|\*|bind[^\n]{0,60}):([0-9]{4,5})\b"),
    re.compile(rb"[Pp]ort[`'\":= ]{1,4}([0-9]{4,5})\b"),
)


def read(log: str, limit_bytes: int) -> bytes:
    """The last bytes of a log; none where they cannot be read."""
    try:
        said, _, _ = growing.read_window(log, -limit_bytes, limit_bytes)
    except (files.FileProblem, OSError):
        return b""
    return said


def judge(said: bytes) -> str:
    """What to change, by the last bytes of a log; empty where they tell nothing.  Pure."""
    lines = [line for line in said[-_TAIL_BYTES:].split(b"\n") if _IN_USE.search(line)]
    if not lines:
        return ""
    ports = [match[1].decode() for line in lines for one in _PORTS for match in one.finditer(line)]
    which = f"port {ports[0]}" if ports and int(ports[0]) < 1 << 16 else "a port"
    return (
        f"{which} was in use (EADDRINUSE), likely by another task: write ${{MASTER_PORT:-29500}} for it, and each "
        "task finds a free one there (torchrun takes --standalone as well)"
    )
