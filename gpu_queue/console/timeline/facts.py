"""A line of a node's history, as far as lanes are made of it.  Pure.

``spool.events.parse_event`` reads the same with more care for people's eyes; here a hundred thousand lines are read
at once, and what does not fit is left out.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gpu_queue.spool.events import LINE_MAX_BYTES
from gpu_queue.units import parse_utc_s

USES = {
    "task": "task",
    "filler": "keepalive",
    "idle": "idle",
    "foreign": "foreign",
    "lost": "lost",
    "unknown": "unknown",
}
"""How the page calls what an agent tells."""
KINDS = frozenset({"started", "settled", "returned", "gpu", "began", "ended"})
GPUS_MAX = 64
TEXT_MAX = 400


class Fact(NamedTuple):
    """One thing that happened on a node."""

    kind: str
    at_s: float
    """Epoch seconds by that node's clock."""
    claim: str = ""
    """The name of the try's claim."""
    gpus: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    use: str = ""
    """Of ``gpu``: as the page calls it."""
    is_first: bool = False
    """Of ``gpu``: its agent had just begun."""
    outcome: str = ""
    is_failure: bool = False
    name: str = ""
    last_at_s: float | None = None
    """Of ``began``: when the agent before it told of itself last."""


def parse_fact(line: bytes) -> Fact | None:
    """A fact from a line; None where lanes have no use for it."""
    if not line.startswith(b"{") or len(line) > LINE_MAX_BYTES:
        return None
    try:
        told = json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    kind, at = told.get("event"), told.get("at")
    at_s = parse_utc_s(at) if isinstance(at, str) else None
    if not isinstance(kind, str) or kind not in KINDS or at_s is None:
        return None
    if kind in ("began", "ended"):
        last = told.get("last_at")
        return Fact(kind, at_s, last_at_s=parse_utc_s(last) if isinstance(last, str) else None)
    claim = _text(told.get("claim"))
    gpus = _list(told.get("gpus"), str)
    if kind == "gpu":
        use = USES.get(_text(told.get("use")))
        if use is None or not gpus:
            return None
        indices = _list(told.get("gpu_indices"), int)
        return Fact(kind, at_s, claim, gpus, indices, use, is_first="before" not in told)
    if not claim:
        return None
    if kind == "started":
        return Fact(kind, at_s, claim, gpus, _list(told.get("gpu_indices"), int), name=_text(told.get("name")))
    status = told.get("status")
    is_failure = kind == "settled" and isinstance(status, int) and status != 0
    return Fact(kind, at_s, claim, outcome=_text(told.get("outcome")), is_failure=is_failure or kind == "returned")


def _text(value: object) -> str:
    return value[:TEXT_MAX] if isinstance(value, str) else ""


def _list(value: object, kind: type) -> tuple[Any, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value[:GPUS_MAX] if type(one) is kind and len(str(one)) <= TEXT_MAX)
