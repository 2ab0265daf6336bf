"""What an agent is up to, from all that may ask it to stop taking tasks.  Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpu_queue.reasons import Code, Reason, reason
from gpu_queue.scheduling.facts import Phase


@dataclass(frozen=True)
class Wishes:
    """What may change an agent's phase."""

    terminated: bool = False
    """SIGTERM or SIGINT: the node is taken back."""
    shutdown: str = ""
    """``""``, ``now`` or ``wait``: a person's command."""
    paused: str | None = None
    """Content of the spool's ``paused`` file; None if there is none."""
    draining: str | None = None
    lifetime_left_s: float = math.inf
    """Until nothing new is taken."""
    stops_left_s: float = math.inf
    """Until running tasks go back."""
    until_empty: bool = False
    spool_is_empty: bool = False
    """Nothing waits, and nothing runs on any node."""


def phase_of(wishes: Wishes) -> tuple[Phase, Reason | None]:
    """The phase, and why it is not *serving*."""
    if wishes.terminated:
        return Phase.LEAVING, reason(Code.LEAVING, cause="signal")
    if wishes.shutdown == "now":
        return Phase.LEAVING, reason(Code.LEAVING, cause="shutdown")
    if wishes.stops_left_s <= 0:
        return Phase.LEAVING, reason(Code.LEAVING, cause="lifetime")
    if wishes.lifetime_left_s <= 0:
        return Phase.DRAINING, reason(Code.DRAINING, cause="lifetime")
    if wishes.shutdown == "wait":
        return Phase.DRAINING, reason(Code.DRAINING, cause="shutdown")
    if wishes.draining is not None:
        return Phase.DRAINING, reason(Code.DRAINING, cause="spool", by=wishes.draining)
    if wishes.until_empty and wishes.spool_is_empty:
        return Phase.DRAINING, reason(Code.DRAINING, cause="empty")
    if wishes.paused is not None:
        return Phase.PAUSED, reason(Code.PAUSED, by=wishes.paused)
    return Phase.SERVING, None
