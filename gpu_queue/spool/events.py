"""A node's history, for people and the console: one writer a file, never read for decisions."""

from __future__ import annotations

import os
import time
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
        self._lines = 0

    def add(self, event: str, claim: Claim | None = None, **facts: Any) -> None:
        """Write one event; a disk that takes none costs the event and nothing else."""
        value: dict[str, Any] = {"at": format_utc(time.time()), "event": event}
        if claim is not None:
            value["claim"] = claim_name(claim)
        try:
            files.append(self._path, self._before + files.encode_json({**value, **facts}))
            self._before = b""
            self._lines += 1
            if self._lines % 1000 == 0 and os.stat(self._path).st_size > ROTATE_AT_BYTES:
                os.rename(self._path, f"{self._path}.1")
        except OSError:
            pass
