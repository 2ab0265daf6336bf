"""A node's history: one writer a file, never read for decisions (docs/spool.md, "Events")."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpu_queue.spool import files, growing
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.paths import SpoolPaths, claim_name, parse_claim
from gpu_queue.task import Claim
from gpu_queue.units import format_utc

ROTATE_AT_BYTES = 16 << 20
READ_BYTES = 1 << 20
LINE_MAX_BYTES = 64 << 10


@dataclass(frozen=True)
class Event:
    """One thing that happened on a node."""

    kind: str
    """``started``, ``settled``, ``returned``, ``taken over``, ``retired``, ``gpu``, ``began``, ``ended``, …"""
    at_s: float | None
    """Epoch seconds by that node's clock."""
    node: str
    """Whose history it stands in."""
    claim: Claim | None = None
    outcome: str = ""
    status: int | None = None
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    name: str = ""
    other_node: str = ""
    """Of *taken over* and *retired*: the dead one."""
    use: str = ""
    """Of *gpu*: what its one GPU is used for now."""
    error_type: str = ""
    """Of *settled* and *returned*: what kind of failure that was; empty: none."""


class EventLog:
    """Appends one JSON line for each thing that happened; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str) -> None:
        self._path = paths.events(node)
        # The last line of a killed predecessor may be torn: the first byte of ours ends it.
        self._before = b"\n"

    def add(self, claim: Claim | None, *events: tuple[str, float, Mapping[str, Any]]) -> None:
        """Write events of one try, or of none, each its name, its moment (epoch seconds) and its facts.

        A disk that takes none costs the events and nothing else.
        """
        whose = {} if claim is None else {"claim": claim_name(claim)}
        lines = [
            files.encode_json({"at": format_utc(at), "event": event, **whose, **facts}) for event, at, facts in events
        ]
        try:
            size_bytes = growing.append(self._path, self._before + b"".join(lines))
            self._before = b""
            if size_bytes > ROTATE_AT_BYTES:
                os.rename(self._path, f"{self._path}.1")
        except OSError:
            pass


def parse_event(node: str, line: bytes) -> Event | None:
    """An event from a line; None where it is empty, torn, or none of ours."""
    if not line.startswith(b"{") or len(line) > LINE_MAX_BYTES:
        return None
    try:
        event = Fields(json.loads(line.decode("utf-8", "surrogateescape")))
    except (ValueError, RecursionError):
        return None
    kind = event.text("event")
    claim = parse_claim(event.name("claim"))
    if not kind:
        return None
    return Event(
        kind,
        event.moment_s("at"),
        node,
        None if claim is None else claim[0],
        event.text("outcome"),
        event.integer("status"),
        event.texts("gpus"),
        event.name("name"),
        event.text("node"),
        event.text("use"),
        event.text("error_type"),
    )


@dataclass(frozen=True)
class Place:
    """How far a history was read."""

    inode: int = 0
    offset: int = 0


def read_events(
    paths: SpoolPaths, node: str, place: Place, limit_bytes: int = READ_BYTES
) -> tuple[list[Event], Place]:
    """What was added to a node's history since it was last read.

    Args:
        paths: of the spool.
        node: whose history.
        place: where the last reading ended; ``Place()``: so much of the end as the limit allows.
        limit_bytes: what is older than that is passed over.

    Returns:
        The events, oldest first, and where to go on; the same place where there is no history or nothing new.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        content, facts = growing.read_tail(paths.events(node), place.inode, place.offset, limit_bytes)
    except files.FileProblem:
        return [], place
    whole, newline, _ = content.rpartition(b"\n")
    if not newline:
        return [], place
    events = [event for line in whole.split(b"\n") if (event := parse_event(node, line)) is not None]
    return events, Place(facts.st_ino, facts.st_size - (len(content) - len(whole) - 1))
