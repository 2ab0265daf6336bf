"""What an agent is up to, from all that may ask it to stop taking tasks.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

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
    lifetime_left_s: float | None = None
    at_end: str = "wait"
    """At the end of the lifetime: ``wait`` for running tasks, or ``stop`` (requeue) them."""
    until_empty: bool = False
    spool_is_empty: bool = False
    """Nothing waits, and nothing runs on any node."""


def phase_of(wishes: Wishes) -> tuple[Phase, str]:
    """The phase, and the reason for people."""
    if wishes.terminated:
        return Phase.LEAVING, "told to end by a signal: running tasks go back to pending"
    if wishes.shutdown == "now":
        return Phase.LEAVING, "gpu_shutdown: running tasks go back to pending"
    over = wishes.lifetime_left_s is not None and wishes.lifetime_left_s <= 0
    if over and wishes.at_end == "stop":
        return Phase.LEAVING, "its lifetime is over: running tasks go back to pending"
    if over:
        return Phase.DRAINING, "its lifetime is over: it ends with its running tasks"
    if wishes.shutdown == "wait":
        return Phase.DRAINING, "gpu_shutdown --wait: it ends with its running tasks"
    if wishes.draining is not None:
        return Phase.DRAINING, f"the spool is draining ({wishes.draining or 'gpu_resume ends it'})"
    if wishes.until_empty and wishes.spool_is_empty:
        return Phase.DRAINING, "nothing waits and nothing runs (--until-empty)"
    if wishes.paused is not None:
        return Phase.PAUSED, f"the spool is paused ({wishes.paused or 'gpu_resume ends it'})"
    return Phase.SERVING, ""
