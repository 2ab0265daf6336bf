"""A queue that is kept served: what was asked for, and the right to submit each allocation (docs/spool.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_SLOT = re.compile(r"([1-9][0-9]{0,3})\.([1-9][0-9]{0,5})", re.ASCII)


@dataclass(frozen=True, order=True)
class Slot:
    """Generation ``generation`` of slot ``number``; both count from 1."""

    number: int
    generation: int

    def __str__(self) -> str:
        return f"{self.number}.{self.generation}"

    @staticmethod
    def parse(text: str) -> Slot | None:
        """What ``str`` has made; None for any other text."""
        match = _SLOT.fullmatch(text)
        return None if match is None else Slot(int(match[1]), int(match[2]))


class Outcome(str, Enum):
    """What the submission of a token came to."""

    OPEN = ""  # not noted: it is under way, or whoever made it has died
    SUBMITTED = "submitted"
    REFUSED = "refused"  # nothing exists
    UNKNOWN = "unknown"  # it may exist


@dataclass(frozen=True)
class Token:
    """One submission, made or about to be made."""

    slot: Slot
    written_s: float
    nonce: str = ""
    """Empty: it cannot be read (yet)."""
    outcome: Outcome = Outcome.OPEN
    ids: tuple[str, ...] = ()
    began: bool = False
    """Its agent has written a node page."""
    is_successor: bool = False
    """An agent made it, and not a person."""


@dataclass(frozen=True)
class Keep:
    """What a person asked for."""

    slots: int
    since_s: float
    """What failed before counts no more."""
    can_wait: bool = False
    """Its way can have a job begin when another has ended."""
    gpus: str = ""
