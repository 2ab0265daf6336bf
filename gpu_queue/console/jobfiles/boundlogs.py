"""Logs that are bound to places of a job file: kept beside it, for each task that is made of such a place.  Pure.

A place is a queue and a position in the file: a task that moved to another place has another log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gpu_queue.spool.files import FileProblem, decode_json, encode_json

PLACES_MAX = 2000
BOUND_MAX_BYTES = 1 << 20
PATH_MAX = 4096


@dataclass(frozen=True)
class BoundLog:
    """A file that is bound to a place."""

    queue: str
    """As the file calls it; empty: none."""
    position: int
    """In the file, from 0."""
    path: str


def parse_bound(content: bytes) -> tuple[BoundLog, ...]:
    """From the disk; what nobody can read says nothing."""
    try:
        said = decode_json(content).get("bound")
    except FileProblem:
        return ()
    found = []
    for one in said[:PLACES_MAX] if isinstance(said, list) else ():
        if not isinstance(one, dict):
            continue
        queue, position, path = one.get("queue"), one.get("position"), one.get("path")
        is_place = isinstance(queue, str) and isinstance(position, int) and not isinstance(position, bool)
        if is_place and isinstance(path, str) and 0 < len(path) <= PATH_MAX and "\0" not in path:
            found.append(BoundLog(str(queue), int(position or 0), path))
    return tuple(found)


def encoded(bound: Sequence[BoundLog]) -> bytes:
    """As it lies on the disk."""
    return encode_json({"bound": [asdict(one) for one in bound[-PLACES_MAX:]]})


def with_one(bound: Sequence[BoundLog], new: BoundLog) -> tuple[BoundLog, ...]:
    """With another one, which replaces an earlier one of its place."""
    return (*(one for one in bound if (one.queue, one.position) != (new.queue, new.position)), new)


def path_at(bound: Sequence[BoundLog], queue: str | None, position: int) -> str:
    """What is bound to a place; empty: nothing."""
    return next((one.path for one in bound if (one.queue, one.position) == (queue or "", position)), "")
