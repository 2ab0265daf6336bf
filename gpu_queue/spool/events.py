"""A node's history, for people and the console: one writer a file, never read for decisions."""

from __future__ import annotations

import os
from typing import Any

from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, claim_name
from gpu_queue.task import Claim
from gpu_queue.units import format_utc

ROTATE_AT_BYTES = 16 << 20


class EventLog:
    """Appends one JSON line for each thing that happened; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str) -> None:
        self._path = paths.events(node)
        # The last line of a killed predecessor may be torn: the first byte of ours ends it.
        self._before = b"\n"
        self._calls = 0

    def add(self, claim: Claim | None, *events: tuple[str, float, dict[str, Any]]) -> None:
        """Write events of one try, or of none, each its name, its moment (epoch seconds) and its facts.

        A disk that takes none costs the events and nothing else.
        """
        whose = {} if claim is None else {"claim": claim_name(claim)}
        lines = [
            files.encode_json({"at": format_utc(at), "event": event, **whose, **facts}) for event, at, facts in events
        ]
        try:
            files.append(self._path, self._before + b"".join(lines))
            self._before = b""
            self._calls += 1
            if self._calls % 1000 == 0 and os.stat(self._path).st_size > ROTATE_AT_BYTES:
                os.rename(self._path, f"{self._path}.1")
        except OSError:
            pass
