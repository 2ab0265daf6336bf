"""``uni_id.json``: what outside scripts are told of tries, and tell of them (docs/experiments.md).  Pure.

Several programs write the same file, most of them without a lock: whoever reads it must expect anything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from gpu_queue.conf import at_home
from gpu_queue.pids import PID_MAX, Process
from gpu_queue.spool import files
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.paths import claim_name, parse_claim
from gpu_queue.units import parse_utc_s

WRITTEN_MAX_BYTES = 4 << 20
"""Of a file as we write it."""
MAX_BYTES = 16 << 20
"""Of a file that is read: others lay it out wider."""
RETRIES_MAX = 10**9


class RunState(str, Enum):
    """What a record says of its process."""

    RUNNING = "running"
    NORMAL = "normal_exit"
    ABNORMAL = "abnormal_exit"


@dataclass(frozen=True)
class Entry:
    """One record, as the documents have it, and what we add: others ignore it."""

    pid: int = 0
    """Of a try: its shim's, which begins before the script and ends after it; or what its script has written."""
    state: RunState = RunState.RUNNING
    retry_count: int = 0
    error_type: str = ""
    """Only of an abnormal exit."""
    node: str = ""
    """Where the try ran; empty: it is somebody else's record."""
    spool: str = ""
    """Whose the try is."""
    process: Process | None = None
    """Which one had a pid, this or an earlier one of the record."""
    ended_at: str = ""
    """UTC by the node's clock."""

    @property
    def is_over(self) -> bool:
        """Whether its process has ended, as it says."""
        return self.state is not RunState.RUNNING

    @property
    def ended_s(self) -> float:
        """When that was, in epoch seconds; 0: nobody knows."""
        return parse_utc_s(self.ended_at) or 0.0

    def told(self) -> dict[str, Any]:
        """What stands in the file."""
        value: dict[str, Any] = {"pid": self.pid, "state": self.state.value, "retry_count": self.retry_count}
        if self.error_type and self.state is RunState.ABNORMAL:
            value["error_type"] = self.error_type
        if self.node:
            value |= {"node": self.node, "spool": self.spool}
        if self.process is not None:
            process = self.process
            value["process"] = {"pid": process.pid, "start_ticks": process.start_ticks, "where": process.where}
        if self.ended_at:
            value["ended_at"] = self.ended_at
        return value


OUR_KEYS = tuple(Entry(0, RunState.ABNORMAL, 0, "e", "n", "s", Process(1, 1, ""), "t").told())


def place_of(root: str, said: str, home: str) -> str:
    """The file that ``process_json`` names.

    Args:
        root: of the spool, where relative paths begin.
        said: as it is set.
        home: what ``~`` stands for.
    """
    return os.path.normpath(os.path.join(root, at_home(said, home)))


def entry_of(value: object) -> Entry | None:
    """What a record says, or None; a bare integer is the pid of a process that runs (the older form)."""
    if isinstance(value, int):
        return Entry(_pid(value)) if _pid(value) else None
    if not isinstance(value, dict):
        return None
    told = Fields(value)
    word = told.raw("state")
    if word not in [one.value for one in RunState]:
        return None
    state = RunState(word)
    return Entry(
        pid=_pid(told.raw("pid")),
        state=state,
        retry_count=min(told.count("retry_count"), RETRIES_MAX),
        error_type=told.text("error_type") if state is RunState.ABNORMAL else "",
        node=told.text("node"),
        spool=told.name("spool"),
        process=_process(told.raw("process")),
        ended_at=told.text("ended_at"),
    )


def _pid(value: object) -> int:
    return value if type(value) is int and 0 < value <= PID_MAX else 0


def _process(value: object) -> Process | None:
    told = Fields(value)
    pid, ticks = _pid(told.raw("pid")), told.integer("start_ticks")
    return Process(pid, ticks, told.text("where")) if pid and ticks is not None else None


def is_of_a_try(name: str) -> bool:
    """Whether a name is one that we give: that of a claim."""
    parsed = parse_claim(name)
    return parsed is not None and parsed[1] is None and claim_name(parsed[0]) == name


def with_ours(found: Mapping[str, Any], ours: Mapping[str, Entry]) -> dict[str, Any]:
    """What the file should say: what others wrote, in its order, and ours.  Keys that a script has added stay."""
    merged = dict(found)
    for name, entry in ours.items():
        there, told = merged.get(name), entry.told()
        if isinstance(there, dict):
            told = {**{key: value for key, value in there.items() if key not in OUR_KEYS or key in told}, **told}
        if there != told:
            merged[name] = told
    return merged


def finished(entry: Entry, state: RunState, error_type: str, ended_at: str) -> Entry:
    """The record of a try when it has ended."""
    return replace(entry, state=state, error_type=error_type, ended_at=ended_at)


def decode(content: bytes) -> dict[str, Any]:
    """The records in a file.

    Raises:
        FileProblem: it is no JSON object, or half of one, or too large, or nested without end.
    """
    if len(content) > MAX_BYTES:
        raise files.FileProblem(f"it has more than {MAX_BYTES >> 20} MiB")
    if not content.strip():
        raise files.FileProblem("it is empty")
    found = files.decode_json(content)
    encode(found)  # what cannot be written again must not be taken in
    return found


def encode(value: Mapping[str, Any]) -> bytes:
    """The bytes of a file, a line for each record; in ASCII, for whoever reads it by another locale.

    Raises:
        FileProblem: something in it is nested without end.
    """
    try:
        lines = [f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items()]
    except RecursionError as error:
        raise files.FileProblem(f"it cannot be written again ({error})") from None
    return ("{\n" + ",\n".join(lines) + "\n}\n" if lines else "{}\n").encode("ascii")
