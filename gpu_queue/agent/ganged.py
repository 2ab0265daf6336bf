"""A try's part in a task over several nodes."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_queue.spool.gangs import Ranks
from gpu_queue.spool.paths import claim_name
from gpu_queue.task import Claim, End, RankEnd, Waiting


@dataclass
class Ganged:
    """What is known of it."""

    claim: Claim
    """Of rank 0."""
    nodes: int
    """Over so many."""
    rank: int | None = None
    """None: not known yet."""
    ranks: Ranks | None = None
    """None: it has not begun, as far as is known."""
    task: Waiting | None = None
    """As it waited, where this node calls the others."""
    made_at: float | None = None
    """When our call or offer was there, in monotonic seconds; None: it is being made, or was before we lived."""
    is_said: bool = False
    """That our rank is told to end was said to the others."""
    is_told_off: bool = False
    """Ours was ended because another rank had ended."""
    is_warning_said: bool = False
    """That our rank was told that its end is near was said to the others."""
    asked_at: float | None = None
    """Since when it is known that a rank has ended that asks to be run again."""
    by: RankEnd | None = None
    """By which rank it comes to its end, as far as we have seen or decided."""
    settles: End | None = None
    """Our rank has ended so, and the others' ends are waited for."""
    note: str = ""
    settles_at: float = 0.0
    """Since when, in monotonic seconds."""
    off_at: float | None = None
    """Since when it is known to be told to end."""
    missing_at: float | None = None
    """Since when its directory is not listed."""

    @property
    def name(self) -> str:
        """Of the claim of rank 0."""
        return claim_name(self.claim)
