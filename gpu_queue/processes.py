"""Which tries and processes run, by ``uni_id.json`` (docs/experiments.md); for scripts that wait for others.

>>> from gpu_queue.processes import get_running_processes, wait_for_completion
>>> for uni_id, pid in get_running_processes("script_process/uni_id.json").items():
...     print(uni_id, pid)

Nothing is written here.  Each function takes the file; without it that is the one that ``process_json`` names, else
the one of the queue (``$QUEUE_ROOT/$JOB_ID/uni_id.json``), and where no ``JOB_ID`` is set
``script_process/uni_id.json`` of the present directory.
"""

from __future__ import annotations

import os
import time
from typing import Any

from gpu_queue.conf import at_home, home_of
from gpu_queue.config import parse_config
from gpu_queue.errors import SpoolError
from gpu_queue.pids import began_by, here, is_alive, start_ticks
from gpu_queue.spool import files
from gpu_queue.spool.desk.entrance import named
from gpu_queue.spool.uni_ids import MAX_BYTES, Entry, decode, entry_of, place_of

__all__ = ["get_all_processes", "get_running_processes", "is_process_running", "wait_for_completion"]

File = str | os.PathLike[str] | None
WITHOUT_A_QUEUE = "script_process/uni_id.json"
HALF_WRITTEN_S = 0.05
HALF_WRITTEN_LOOKS = 20
GONE_S = 5.0
"""A record that has vanished may have been overwritten, and is put back; after so long it has been removed."""
GONE_LOOK_S = 0.5


def get_all_processes(file: File = None) -> dict[str, dict[str, Any]]:
    """All records, by their uni_ids: ``pid``, ``state`` (running, normal_exit, abnormal_exit), and so on.

    A bare pid, the older form, reads as the record of a process that runs.  A file that is missing or damaged holds
    none, and what makes no sense in it is left out.

    Args:
        file: which; None: as this module says.

    Raises:
        OSError: the storage failed.
    """
    return {name: _told(value, entry) for name, (value, entry) in _read(_path(file))[0].items()}


def get_running_processes(file: File = None) -> dict[str, int]:
    """The pids of those that run, by their uni_ids.

    Args:
        file: which; None: as this module says.

    Raises:
        OSError: the storage failed.
    """
    found, changed_s = _read(_path(file))
    return {name: entry.pid for name, (_, entry) in found.items() if _runs(entry, changed_s)}


def is_process_running(uni_id: str, file: File = None) -> bool:
    """Whether a process runs: its record says so, and it is there.

    A later process that was given the same pid is not taken for it where its start is known, as it is of tries.  On
    another machine, or in another container, nobody can see whether it is there: what its record says counts.

    Args:
        uni_id: which.
        file: which; None: as this module says.

    Raises:
        OSError: the storage failed.
    """
    found, changed_s = _read(_path(file))
    return uni_id in found and _runs(found[uni_id][1], changed_s)


def wait_for_completion(uni_id: str, check_interval: float = 10, file: File = None) -> None:
    """Wait until a process does not run any more; one that has no record is not waited for.

    Args:
        uni_id: which.
        check_interval: seconds between two looks.
        file: which; None: as this module says.

    Raises:
        OSError: the storage failed.
    """
    path = _path(file)
    gone_at: float | None = None
    was_there = False
    while True:
        found, changed_s = _read(path)
        if uni_id in found:
            was_there, gone_at = True, None
            if not _runs(found[uni_id][1], changed_s):
                return
            time.sleep(check_interval)
            continue
        now = time.monotonic()
        gone_at = now if gone_at is None else gone_at
        if not was_there or now - gone_at >= GONE_S:
            return
        time.sleep(min(check_interval, GONE_LOOK_S))


def _path(file: File) -> str:
    if file is not None:
        return os.path.realpath(file)
    said, home = os.environ.get("GPU_QUEUE_PROCESS_JSON", ""), home_of(os.environ)
    try:
        paths = named(None, None)
    except SpoolError:
        return os.path.realpath(at_home(said, home) or WITHOUT_A_QUEUE)
    said = said or _said_in(paths.config)
    return os.path.realpath(place_of(paths.root, said, home)) if said else paths.uni_ids


def _said_in(path: str) -> str:
    """What a config.yaml says of ``process_json``; empty: nothing."""
    try:
        content, _ = files.read_regular(path, files.RECORD_MAX_BYTES)
    except (files.FileProblem, OSError):
        return ""
    given = parse_config(path, content).values.get("process_json")
    return given.value if given is not None else ""


def _read(path: str) -> tuple[dict[str, tuple[object, Entry]], float]:
    """The records in a file, and when it was changed last, in epoch seconds."""
    for _ in range(HALF_WRITTEN_LOOKS):
        try:
            content, facts = files.read_regular(path, MAX_BYTES + 1)
            found = decode(content)
        except files.Vanished:
            return {}, 0.0
        except files.FileProblem:
            time.sleep(HALF_WRITTEN_S)  # somebody writes it in place
            continue
        entries = {name: (value, entry) for name, value in found.items() if (entry := entry_of(value)) is not None}
        return entries, facts.st_mtime
    return {}, 0.0


def _told(value: object, entry: Entry) -> dict[str, Any]:
    return {**value, **entry.told()} if isinstance(value, dict) else entry.told()


def _runs(entry: Entry, changed_s: float) -> bool:
    process = entry.process
    if entry.is_over:
        return False
    if process is None:
        # Of a bare record only this is known: whoever began after it was written is not it.
        return bool(entry.node) or began_by(entry.pid, changed_s)
    if process.where != here():
        return True
    if process.pid == entry.pid:
        return is_alive(process) is True
    # A script has written the pid of a program of its own, which began after its try.
    ticks = start_ticks(entry.pid)
    return ticks is not None and ticks >= process.start_ticks
