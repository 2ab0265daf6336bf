"""What the agent has still to do, and when: whoever finds that something is to be done puts it here."""

from __future__ import annotations

from enum import IntEnum, auto

AT_ONCE = float("-inf")
NEVER = float("inf")


class Duty(IntEnum):
    """What may be due."""

    KEEP = auto()
    """Judge which GPUs the keep-alive holds."""
    LOOK = auto()
    """Look at the spool."""
    LOOK_AROUND = auto()
    """Look at more of it than at pending/, with the next look."""
    PLAN = auto()
    """Something became free: see what starts."""
    PLAN_ANEW = auto()
    """What waits has changed, or what judges it: see also what can never run."""
    TELL = auto()
    """Something has changed that people look for in the node file."""


class Agenda:
    """When what is due, in monotonic seconds."""

    def __init__(self) -> None:
        self._at: dict[Duty, float] = {}

    def want(self, duty: Duty, at: float = AT_ONCE) -> None:
        """Have something done at that time, if not sooner."""
        self._at[duty] = min(self.at(duty), at)

    def put_off(self, duty: Duty, at: float) -> None:
        """Have something done then, and not sooner: it was just done."""
        self._at[duty] = at

    def take(self, duty: Duty, now: float) -> bool:
        """Whether something is due; then it is taken off, and whoever asked does it."""
        if self.at(duty) > now:
            return False
        del self._at[duty]
        return True

    def at(self, duty: Duty) -> float:
        """When something is due."""
        return self._at.get(duty, NEVER)
