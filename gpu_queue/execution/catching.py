"""Which processes of a try catch a signal: it is sent to these, and to none that would die of it.

- ``SigCgt`` in ``/proc/<pid>/status`` says which signals a process has a handler for.  bash without a trap has none,
  and neither has torchrun.
- What is forked and starts no program inherits handlers that are not meant for it: workers of a DataLoader would each
  write a checkpoint.  The kernel tells them (``PF_FORKNOEXEC``), and they are left out where one above them is told.
- The search reads environments, which may hang with a process: it is made in a thread, and asked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from gpu_queue.execution.launcher import PUMP
from gpu_queue.execution.processes import Process, find_try

_FORKED_ONLY = 0x40
"""``PF_FORKNOEXEC``: it has started no program since it was forked."""
_FLAGS = 6
"""Which field of ``/proc/<pid>/stat``, counted from behind the name, holds these."""


@dataclass(frozen=True)
class Row:
    """One process of a try."""

    process: Process
    catches: bool
    is_forked_only: bool = False


def chosen(rows: Iterable[Row], script_pid: int, *, to_all: bool) -> list[Process]:
    """Which of them are told.  Pure.

    Args:
        rows: the processes of a try, without its shim's helpers.
        script_pid: of the script's own process; 0: it is not there.
        to_all: all that catch it; else the script's own alone.
    """
    by_pid = {row.process.pid: row for row in rows}
    if not to_all:
        own = by_pid.get(script_pid)
        return [own.process] if own is not None and own.catches else []
    return [row.process for row in by_pid.values() if row.catches and not _has_inherited(row, by_pid)]


def _has_inherited(row: Row, by_pid: dict[int, Row]) -> bool:
    """Whether it has its handler from one that is told."""
    seen = set()
    while row.is_forked_only and row.process.pid not in seen:
        seen.add(row.process.pid)
        parent = by_pid.get(row.process.parent)
        if parent is None:
            return False
        if parent.catches:
            return True
        row = parent
    return False


class Search:
    """One look for them, in a thread."""

    def __init__(self, claim_path: str, shim_pid: int, number: int, *, to_all: bool) -> None:
        """Begin to look.

        Args:
            claim_path: of the try.
            shim_pid: of its shim.
            number: the signal's.
            to_all: all that catch it; else the script's own process alone.
        """
        self._of = claim_path, shim_pid, number
        self._to_all = to_all
        self._found: list[Process] | None = None
        self.own = ""
        """What the script's own process is called, where it was found."""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def result(self, patience_s: float) -> list[Process] | None:
        """Who is to be told; None: it still looks.

        Args:
            patience_s: so long it is waited for.
        """
        self._thread.join(patience_s)
        return self._found

    def _look(self) -> None:
        claim_path, shim_pid, number = self._of
        found = [one for one in find_try(claim_path, shim_pid) if not one.is_helper]
        above = shim_pid
        own = next((one for one in found if one.parent == above), None)
        if own is not None and _is_pump(own.pid):
            above = own.pid
            found.remove(own)
            own = next((one for one in found if one.parent == above), None)
        rows = [Row(one, _catches(one.pid, number), _is_forked_only(one.pid)) for one in found]
        self.own = "" if own is None else own.name
        self._found = chosen(rows, 0 if own is None else own.pid, to_all=self._to_all)


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _catches(pid: int, number: int) -> bool:
    for line in _read(pid, "status").splitlines():
        if line.startswith(b"SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def _is_forked_only(pid: int) -> bool:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return len(fields) > _FLAGS and bool(int(fields[_FLAGS]) & _FORKED_ONLY)


def _is_pump(pid: int) -> bool:
    return os.fsencode(PUMP) in _read(pid, "cmdline").split(b"\0")
