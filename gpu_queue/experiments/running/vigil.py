"""Whether an agent has to be started, or what is watched is over.  Pure.

- A page tells of an agent that serves, and is a hint: one that was killed leaves its page.  Where the hint is wrong,
  an agent is started too many, finds the node's lock held, and ends.
- What was killed is started again, at most three times a minute.  What a person has ended stays ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from gpu_queue.reasons import Code, Reason
from gpu_queue.states import EXIT_REFUSED, EXIT_SERVED

STARTS_MAX = 3
STARTS_WITHIN_S = 60.0
SERVED_FOR_S = 10.0
"""So long after somebody held the lock it is not asked for again."""
NEVER_FOR_S = 10.0
"""So long it must have been so that nothing of what is left can ever run."""
_BY_PEOPLE = {
    "shutdown": "gpu_shutdown",
    "spool": "gpu_drain; gpu_resume lets one serve again",
    "signal": "a signal",
}


class Act(Enum):
    """What is to be done."""

    WATCH = "watch"
    START = "start"
    END = "end"
    LEAVE = "leave"  # a person has ended the agent
    NEVER = "never"  # what is left can never run here
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Facts:
    """One moment."""

    now: float
    """Monotonic seconds."""
    is_over: bool
    """All that is watched is settled."""
    has_own: bool = False
    """There is an agent that we have started, and of whose end nothing is known yet."""
    status: int | None = None
    """Its exit status; None: it lives."""
    left: Reason | None = None
    """Why it has ended, or the last one that served here, as its page says."""
    is_served: bool = False
    """By another agent on this node, as its page and the process that it names tell."""
    is_served_elsewhere: bool = False
    """By an agent on another node."""
    never: str = ""
    """Why all that is left can never run on this node; empty: something can, or nobody knows."""


@dataclass(frozen=True)
class Vigil:
    """What was done so far."""

    starts: tuple[float, ...] = ()
    """When agents were started in the place of others, as far as it counts."""
    has_had: bool = False
    """There has been an agent: another one is one that is started again."""
    held_until: float = float("-inf")
    """Somebody has the lock, as far as we know."""
    is_guest: bool = False
    """No agent can be started here: those of other nodes are enough."""
    never_since: float | None = None
    """Nothing of what is left can ever run."""


@dataclass(frozen=True)
class Step:
    """What follows."""

    vigil: Vigil
    act: Act = Act.WATCH
    why: str = ""
    """Of giving up, what became of the agent before the one that is started, or what else is worth a word."""


def advance(vigil: Vigil, facts: Facts) -> Step:
    """What is to be done now."""
    if facts.is_over:
        return Step(vigil, Act.END)
    is_never = facts.never and not facts.is_served_elsewhere
    since = (facts.now if vigil.never_since is None else vigil.never_since) if is_never else None
    vigil = replace(vigil, never_since=since)
    if since is not None and facts.now - since >= NEVER_FOR_S:
        return Step(vigil, Act.NEVER, f"what is left can never run here: {facts.never}")
    if facts.has_own and facts.status is None:
        return Step(replace(vigil, has_had=True))
    if facts.has_own:
        return _ended(vigil, facts)
    is_served = facts.is_served or (vigil.is_guest and facts.is_served_elsewhere)
    if is_served or facts.now < vigil.held_until:
        return Step(replace(vigil, has_had=vigil.has_had or is_served))
    if by := _by_a_person(facts.left):
        return Step(vigil, Act.LEAVE, by)
    return _start(vigil, facts, "it is gone" if vigil.has_had else "")


def _ended(vigil: Vigil, facts: Facts) -> Step:
    if facts.status == EXIT_SERVED:
        return Step(replace(vigil, starts=vigil.starts[:-1], held_until=facts.now + SERVED_FOR_S))
    if facts.status == EXIT_REFUSED:
        if facts.is_served_elsewhere:
            return Step(replace(vigil, is_guest=True), why="no agent can be started here; another node serves it")
        return Step(vigil, Act.GIVE_UP, "no agent can be started here")
    if facts.status == 0 and (by := _by_a_person(facts.left)):
        return Step(vigil, Act.LEAVE, by)
    if facts.is_served:
        return Step(vigil)
    if facts.status == 0:
        return _start(vigil, facts, "")
    status = facts.status or 0
    how = f"it was killed by signal {-status}" if status < 0 else f"it has ended with status {status}"
    return _start(vigil, facts, how)


def _by_a_person(left: Reason | None) -> str:
    """Which person has ended an agent, as its last page says; empty: none."""
    if left is None or left.code not in (Code.LEAVING, Code.DRAINING) or left.text("cause") not in _BY_PEOPLE:
        return ""
    return f"the agent was ended by {_BY_PEOPLE[left.text('cause')]}"


def _start(vigil: Vigil, facts: Facts, why: str) -> Step:
    recent = tuple(at for at in vigil.starts if facts.now - at < STARTS_WITHIN_S)
    if len(recent) >= STARTS_MAX:
        return Step(replace(vigil, starts=recent), Act.GIVE_UP, f"{STARTS_MAX} agents have ended within a minute")
    starts = (*recent, facts.now) if vigil.has_had else recent
    return Step(replace(vigil, starts=starts, has_had=True), Act.START, why)
