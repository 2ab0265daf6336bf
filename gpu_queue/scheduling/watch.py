"""When another node counts as dead: by watching that nothing of it changes.  Pure.

- What is watched are *marks*: values that change with every sign of life (of a file its inode and mtime).  They are
  compared with earlier ones and never with a clock; times are this machine's own monotonic ones.
- A mark stood still from the *end* of the round in which it was first seen until the *beginning* of the last one.
- A round that took long, or came long after the one before it, proves nothing: the storage hung, or this process was
  stopped, and the others may have been too.  Then all watches begin anew.
- Whoever holds a claim gives up earlier than anybody may take it: its shim ends the task ``fence_after`` after its
  last touch, and ``config`` refuses settings by which that might be too late.
- Where a cluster's scheduler says that the batch job in which a node's agent ran has ended, there is no holder left
  that could have to give up: it has ended the processes itself (decision 0024).  Then the marks need to stand still
  only for so long that a scheduler which is wrong is found out by the next signs of life.
- Such a word counts where it was *asked for* after the marks that it is about were last seen to change: it is about
  the very agent whose page is there, and what comes afterwards (a new agent, a shim that lives) voids it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from gpu_queue.units import format_duration


@dataclass(frozen=True)
class Terms:
    """How long what must stand still."""

    takeover_after_s: float = 900.0
    ended_after_s: float = 60.0
    """A try that has ended is settled by others when its owner's beat stood still for so long."""
    vouched_after_s: float = 120.0
    """The same as ``takeover_after_s`` where the scheduler says that the owner's batch job has ended."""
    gap_s: float = 60.0
    """A round, or the pause before it, that is longer interrupts every watch."""


@dataclass(frozen=True)
class ClaimSeen:
    """One claim as a round saw it."""

    mark: Hashable
    has_ended: bool
    """Its name tells its end: it is settled, and never run from there."""


@dataclass(frozen=True)
class NodeSeen:
    """One other node as a round saw it."""

    beat: Hashable | None
    """The mark of its node file; None: it has none."""
    claims: Mapping[str, ClaimSeen] | None = None
    """Its running directory; None: it was not looked at."""
    is_bare: bool = False
    """Nothing at all is in its running directory, or there is none."""
    age_s: float | None = None
    """How old its node file was by the storage server's clock; for people."""
    allocation: str = ""
    """The batch job that holds all its tries, by the very file that ``beat`` is the mark of; empty: none is known."""


@dataclass(frozen=True)
class Round:
    """One good look at all other nodes."""

    began_at: float
    ended_at: float
    nodes: Mapping[str, NodeSeen]


@dataclass(frozen=True)
class Still:
    """A mark, and since when it is known to stand still."""

    mark: Hashable
    since: float


@dataclass(frozen=True)
class NodeWatch:
    """What is known of one node."""

    beat: Still
    claims: Mapping[str, Still] = field(default_factory=dict)
    seen: NodeSeen = NodeSeen(None)


@dataclass(frozen=True)
class Watches:
    """What is known of all other nodes."""

    nodes: Mapping[str, NodeWatch] = field(default_factory=dict)
    began_at: float = float("-inf")
    """When the last good round began: until then what stands still is known to."""
    ended_at: float = float("-inf")


class Verdict(Enum):
    """What may be done to a node's things."""

    TAKE_OVER = "take over"  # its try is lost
    SETTLE = "settle"  # its try has ended, and its owner does not settle it
    RETIRE = "retire"  # it is dead and has nothing left


@dataclass(frozen=True)
class Judgement:
    """A verdict on one claim, or on the node itself (``claim`` is empty)."""

    verdict: Verdict
    node: str
    claim: str
    silent_s: float
    """So long its beat has stood still, as far as was watched."""
    ended: str = ""
    """The batch job whose end made it so early; empty: the full watch did."""


Ended = Mapping[str, float]
"""The batch jobs of which the scheduler said that they have ended, and when it was asked (monotonic seconds)."""
NOBODY_ASKED: Ended = {}


def _still(before: Still | None, mark: Hashable, now: float) -> Still:
    return before if before is not None and before.mark == mark else Still(mark, now)


def observe(before: Watches, seen: Round, terms: Terms) -> Watches:
    """What is known after one more round."""
    longest_s = max(seen.ended_at - seen.began_at, seen.began_at - before.ended_at)
    known = before.nodes if longest_s <= terms.gap_s else {}
    nodes = {}
    for name, node in seen.nodes.items():
        old = known.get(name)
        beat = _still(old.beat if old else None, node.beat, seen.ended_at)
        claims = {
            claim: _still(old.claims.get(claim) if old else None, one.mark, seen.ended_at)
            for claim, one in (node.claims or {}).items()
        }
        nodes[name] = NodeWatch(beat, claims, node)
    return Watches(nodes, seen.began_at, seen.ended_at)


def silent_s(watches: Watches, node: str) -> float:
    """For how long a node's beat is known to have stood still."""
    return max(0.0, watches.began_at - watches.nodes[node].beat.since)


def has_ended(node: NodeWatch, claim: str, ended: Ended) -> bool:
    """Whether the scheduler says, after all that was seen of a claim and its owner, that nothing of them lives."""
    asked_at = ended.get(node.seen.allocation) if node.seen.allocation and node.seen.beat is not None else None
    return asked_at is not None and asked_at >= max(node.beat.since, node.claims[claim].since)


def _needed_s(node: NodeWatch, claim: str, terms: Terms, ended: Ended) -> float:
    return terms.vouched_after_s if has_ended(node, claim, ended) else terms.takeover_after_s


def judge(watches: Watches, terms: Terms, ended: Ended = NOBODY_ASKED) -> list[Judgement]:
    """What may be done after the last round."""
    found = []
    for name, node in watches.nodes.items():
        silence_s = silent_s(watches, name)
        has_owner = node.seen.beat is not None  # a node without a file was retired, or a person forgot it
        for claim, still in node.claims.items():
            assert node.seen.claims is not None
            still_s = min(silence_s, watches.began_at - still.since)
            if node.seen.claims[claim].has_ended:
                if not has_owner or silence_s >= terms.ended_after_s:
                    found.append(Judgement(Verdict.SETTLE, name, claim, silence_s))
            elif still_s >= terms.takeover_after_s:
                found.append(Judgement(Verdict.TAKE_OVER, name, claim, silence_s))
            elif still_s >= _needed_s(node, claim, terms, ended):
                found.append(Judgement(Verdict.TAKE_OVER, name, claim, silence_s, node.seen.allocation))
        if node.seen.is_bare and silence_s >= terms.takeover_after_s:
            found.append(Judgement(Verdict.RETIRE, name, "", silence_s))
    return found


def questions(watches: Watches, after_s: float, ended: Ended) -> list[str]:
    """The batch jobs that the schedulers are to be asked about: their answer would let claims be taken earlier.

    Args:
        watches: what is known.
        after_s: a claim and its owner that stood still for less may well live.
        ended: what was answered.
    """
    found = set()
    for name, node in watches.nodes.items():
        silence_s = silent_s(watches, name)
        for claim, still in node.claims.items():
            assert node.seen.claims is not None
            is_silent = min(silence_s, watches.began_at - still.since) >= after_s
            if is_silent and not node.seen.claims[claim].has_ended and not has_ended(node, claim, ended):
                found.add(node.seen.allocation if node.seen.beat is not None else "")
    return sorted(found - {""})


@dataclass(frozen=True)
class Silent:
    """A node with tries whose agent gives no sign of life, for people."""

    node: str
    tries: int
    """Tries that are taken over if it stays silent."""
    beating: int
    """Tries that give signs of life themselves: their shims live, and nobody takes them."""
    silent_s: float
    left_s: float
    """Until the first of them is taken over."""
    ended: str = ""
    """The batch job whose end makes that so early; empty: none."""


def silent(watches: Watches, terms: Terms, said_after_s: float, ended: Ended = NOBODY_ASKED) -> list[Silent]:
    """The nodes whose tries will be taken over if they stay silent.

    Args:
        watches: what is known.
        terms: how long what must stand still.
        said_after_s: a sign of life that is no older than this is none to speak of.
        ended: what the schedulers said.
    """
    found = []
    for name, node in sorted(watches.nodes.items()):
        seen = node.seen.claims or {}
        still_s = {
            claim: watches.began_at - still.since for claim, still in node.claims.items() if not seen[claim].has_ended
        }
        watched_s = silent_s(watches, name)
        so_far_s = max(watched_s, node.seen.age_s or 0.0)
        if not still_s or so_far_s < said_after_s:
            continue
        # Before a beat would have been due nobody can tell, and silence is what is to be feared.
        beating = sum(one_s < said_after_s for one_s in still_s.values()) if watched_s >= 2 * said_after_s else 0
        left_s, first = min(
            (_needed_s(node, claim, terms, ended) - max(0.0, min(watched_s, one_s)), claim)
            for claim, one_s in still_s.items()
        )
        job = node.seen.allocation if has_ended(node, first, ended) else ""
        found.append(Silent(name, len(still_s) - beating, beating, so_far_s, max(0.0, left_s), job))
    return found


def told(one: Silent) -> str:
    """A silent node in one line."""
    text = f"not heard of for {format_duration(one.silent_s)}"
    if one.tries:
        tasks = "its task is" if one.tries == 1 else f"its {one.tries} tasks are"
        why = f": its batch job {one.ended} has ended" if one.ended else " if it stays silent"
        text += f"; {tasks} taken over in {format_duration(one.left_s)}{why}"
    if one.beating:
        tasks = "1 task gives" if one.beating == 1 else f"{one.beating} tasks give"
        text += f"; {tasks} signs of life there and may go on"
    return text
