"""Which tasks were loaded from a job file: noted beside it, for the list that tells what became of them.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from gpu_queue.console.keys import text_of
from gpu_queue.console.models.jobfiles import LoadedCounts
from gpu_queue.spool.files import FileProblem, decode_json, encode_json
from gpu_queue.spool.paths import is_id
from gpu_queue.task import State

IDS_MAX = 10_000
"""The last ones."""
LOADS_MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Loads:
    """What was loaded from one file."""

    at_s: float | None = None
    """Last, in epoch seconds."""
    by: str = ""
    ids: tuple[str, ...] = ()
    """Of its tasks, but for those that a later load took out."""

    def encoded(self) -> bytes:
        """As it lies on the disk."""
        return encode_json({"at_s": self.at_s, "by": self.by, "ids": list(self.ids[-IDS_MAX:])})


def parse_loads(content: bytes) -> Loads:
    """From the disk; what nobody can read says nothing."""
    try:
        said = decode_json(content)
    except FileProblem:
        return Loads()
    at_s, by, ids = said.get("at_s"), said.get("by"), said.get("ids")
    is_moment = isinstance(at_s, (int, float)) and not isinstance(at_s, bool) and 0 <= at_s < 1e11
    return Loads(
        float(at_s) if is_moment and at_s is not None else None,
        by if isinstance(by, str) else "",
        tuple(one for one in ids[:IDS_MAX] if isinstance(one, str) and is_id(one)) if isinstance(ids, list) else (),
    )


def counts_of(loads: Loads, state_of: Callable[[str], State | None]) -> LoadedCounts | None:
    """What became of them; None: nothing was loaded.

    Args:
        loads: that were noted.
        state_of: where a task is; None: nowhere any more.
    """
    if loads.at_s is None:
        return None
    found = Counter(state_of(one) for one in loads.ids)
    return LoadedCounts(
        at_s=loads.at_s,
        by=text_of(loads.by),
        waiting=found[State.PENDING],
        running=found[State.RUNNING],
        done=found[State.DONE],
        failed=found[State.FAILED],
    )
