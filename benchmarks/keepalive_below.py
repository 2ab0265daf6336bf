"""The processes below this one: whatever happens to a part of the report, none of them stays."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PR_SET_CHILD_SUBREAPER = 36


class _Process(NamedTuple):
    parent: int
    is_zombie: bool


def adopt() -> None:
    """Become the parent of whatever loses its own below us: the shim of an agent that ended, a worker."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> set[int]:
    """All that live below a process."""
    table = _table()
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, one in table.items() if one.parent in fresh and not one.is_zombie} - found
        found |= fresh
    return found


def zygote_and_worker(parent: int) -> dict[str, int]:
    """Those that a process has started; the zygote that has a worker, if there are several."""
    table = _table()
    found: dict[str, int] = {}
    for pid in sorted(_children(table, parent)):
        if b"gpu_queue.keepalive.zygote" in _command_of(pid) and "worker" not in found:
            found["zygote"] = pid
            found.update(zip(["worker"], sorted(_children(table, pid)), strict=False))
    return found


def end_all(spared: Collection[int] = (), patience_s: float = 2.0) -> int:
    """End what lives below this process, by force what does not go; returns how many there were.

    Args:
        spared: these, with what is below them, stay.
        patience_s: between TERM and KILL.
    """
    kept = set(spared).union(*(descendants(pid) for pid in spared))
    left = descendants(os.getpid()) - kept
    count = len(left)
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, patience_s)):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        give_up_at = time.monotonic() + wait_s
        while left and time.monotonic() < give_up_at:
            time.sleep(0.01)
            left = descendants(os.getpid()) - kept
        if not left:
            break
    _reap(kept)
    return count


def _reap(kept: set[int]) -> None:
    for pid, one in _table().items():
        if one.parent == os.getpid() and one.is_zombie and pid not in kept:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _children(table: dict[int, _Process], parent: int) -> set[int]:
    return {pid for pid, one in table.items() if one.parent == parent and not one.is_zombie}


def _table() -> dict[int, _Process]:
    found: dict[int, _Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it has just gone
                text = Path(f"/proc/{name}/stat").read_text(encoding="utf-8", errors="replace")
                state, parent = text.rpartition(")")[2].split()[:2]
                found[int(name)] = _Process(int(parent), state == "Z")
    return found


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
