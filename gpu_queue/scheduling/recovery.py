"""What to do with a claim that stands in this node's directory and that the agent does not know.  Pure.

It may be from the agent's killed predecessor, or a claim of its own whose rename came late.  The facts are local:
whether the try's lock is held (its shim lives), and what its shim wrote before it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gpu_queue.again import as_asked, unnamed
from gpu_queue.task import Claim, End, Why

NOBODY_KNOWS = 255
"""The status of a try whose shim died without a word."""


class Step(Enum):
    """What to do."""

    ADOPT = "adopt"
    SETTLE = "settle"
    CLEAN = "clean"  # end what is left of it by its marker, then settle


@dataclass(frozen=True)
class ClaimFacts:
    """A claim in this node's directory, and what lies in its local directory."""

    claim: Claim
    named_end: End | None
    """What its name says of its end."""
    is_alive: bool = False
    """Its try lock is held."""
    status: int | None = None
    why: Why | None = None
    never_began: bool = False
    """Its agent died before it told a shim of this try: nothing ran."""
    asks: bool = False
    """Its script has asked to be run again."""
    signal: int = 0
    """The number of the signal by which it wants to be told to leave; 0: it has named none."""
    is_warned: bool = False
    """It was sent that."""


@dataclass(frozen=True)
class Recovery:
    """What to do with it, and, unless it is adopted, how its try ended."""

    step: Step
    end: End | None = None


def recover(facts: ClaimFacts) -> Recovery:
    """Rows R and E of the state table, as this node's agent finds them."""
    if facts.named_end is not None:
        return Recovery(Step.SETTLE, unnamed(facts.named_end, facts.status))
    if facts.is_alive:
        return Recovery(Step.ADOPT)
    if facts.status is not None:
        return Recovery(Step.CLEAN, _as_asked(End(facts.status, facts.why), facts))
    # No status: its shim died, or never started.  A why that stands there was meant for it (stopped, say).
    why = facts.why if facts.why in (Why.STOPPED, Why.TIMEOUT, Why.REQUEUE, Why.NOSTART) else Why.LOST
    if why is Why.LOST and facts.never_began:
        why = Why.REQUEUE
    return Recovery(Step.CLEAN, _as_asked(End(NOBODY_KNOWS, why), facts))


def _as_asked(end: End, facts: ClaimFacts) -> End:
    return as_asked(end, asks=facts.asks, signal=facts.signal, is_warned=facts.is_warned)
