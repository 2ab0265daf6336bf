"""Tasks over several nodes: what an agent does about them, by what it has seen of their directories.  Pure.

- *One is put together at a time*: that which comes first of all that are called (by priority, then submission).
  Whoever calls another one gives that up.  So no two wait for each other's nodes.
- *All or nothing*: a call becomes ``go`` or ``off`` by one rename; whoever leaves before ``go`` makes it ``off``.
- *Nothing is held for ever*: a call whose caller gives no sign of life is ended by anybody; a rank that gives none,
  by whoever has the task's claim; a gang whose claim is nowhere, by anybody.
- *Never twice at once*: the task goes on only when each rank has said how it ended, or stood still for as long as a
  silent node's tries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from gpu_queue.states import GangStage
from gpu_queue.task import GIVEN_UP, End, Needs, RankEnd, Why


@dataclass(frozen=True)
class Gang:
    """What was seen of one."""

    name: str
    """Of the claim of rank 0."""
    priority: int
    task_id: str
    stage: GangStage
    caller: str = ""
    """The node that put, or puts, it together."""
    offers: Mapping[str, str] = field(default_factory=dict)
    """The nodes that hold their GPUs ready, by the claims that they are going to have."""
    members: Mapping[str, End | None] = field(default_factory=dict)
    """The claims of other ranks, and how these have ended."""
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Of these, by their claims, as far as they are known."""
    ranks: tuple[str, ...] = ()
    """Claims in the order of ranks; empty: not known."""
    end: RankEnd | None = None
    """By which rank it comes to its end, as somebody has said."""
    is_warned: bool = False
    """A rank was told that its end is near."""
    still_s: Mapping[str, float] = field(default_factory=dict)
    """For how long the call (by ``""``), an offer or the claim of a rank is known to have given no sign of life."""
    unclaimed_s: float = 0.0
    """For how long its claim is known to be nowhere."""

    @property
    def key(self) -> tuple[int, str, str]:
        """Of two the one with the lesser comes first, on every node."""
        return self.priority, self.task_id, self.name

    def stands_still_s(self, claim: str = "") -> float:
        """For how long a claim, or the call, has given no sign of life."""
        return self.still_s.get(claim, 0.0)


@dataclass(frozen=True)
class Terms:
    """How long what must stand still."""

    takeover_after_s: float = 900.0
    """What others may still be at work on."""
    dead_after_s: float = 90.0
    """What holds GPUs of others, and has begun nothing: whoever is wrong about it does no harm."""
    patience_s: float = 90.0
    """So long the agents of other ranks have to end theirs, before their shims are told by the claim itself."""
    unclaimed_after_s: float = 10.0
    """A claim that is moved from node to node may be missed by a listing."""


@dataclass(frozen=True)
class Node:
    """Another node that takes tasks."""

    memory_bytes: Sequence[int | None] = ()
    """Of each GPU that it serves."""
    left_s: float | None = None
    """Of its lifetime; None: it never ends."""

    def may_serve(self, needs: Needs) -> bool:
        """Whether it could ever be one of a task's nodes."""
        large_enough = [one for one in self.memory_bytes if (one or 0) >= (needs.memory_bytes or 0)]
        promised_s = None if needs.time_is_limit else needs.time_s
        has_time = promised_s is None or self.left_s is None or promised_s <= self.left_s
        return len(large_enough) >= needs.gpus_min and has_time


@dataclass(frozen=True)
class Around:
    """What a plan knows of tasks over several nodes."""

    gangs: Sequence[Gang] = ()
    nodes: Sequence[Node] | None = None
    """The others; None: not known yet."""
    held: Mapping[str, Gang | None] = field(default_factory=dict)
    """The ids of tasks for which GPUs of ours are held ready, and what was seen of their gangs."""
    terms: Terms = Terms()

    def first(self) -> Gang | None:
        """The gang that is put together now."""
        return called(self.gangs, self.terms)

    def may_serve(self, needs: Needs) -> int:
        """How many nodes could be those of a task, with this one; enough, where nobody knows yet."""
        return needs.nodes if self.nodes is None else 1 + sum(node.may_serve(needs) for node in self.nodes)


# -- which one -----------------------------------------------------------------------------------------------------


def called(gangs: Sequence[Gang], terms: Terms) -> Gang | None:
    """The gang that is put together now; None: none is."""
    live = (one for one in gangs if one.stage is GangStage.CALL and one.stands_still_s() < terms.dead_after_s)
    return min(live, key=lambda one: one.key, default=None)


@dataclass(frozen=True)
class Stand:
    """What a task over several nodes may do now, for all that others do."""

    join: Gang | None = None
    """Hold GPUs ready for this call; None: call it, or wait."""
    behind: str = ""
    """It waits for this task, which is put together first; empty: it does not."""


def stand(task_id: str, priority: int, first: Gang | None, chosen: str = "") -> Stand:
    """What a node does about a task, once it comes to it in its own order.

    Args:
        task_id: the task.
        priority: its own.
        first: the gang that is put together now (:func:`called`).
        chosen: another task over several nodes, to which it came before; empty: none.
    """
    if first is None:
        return Stand(behind=chosen if chosen != task_id else "")
    if first.task_id == task_id:
        return Stand(join=first)
    # Whoever calls the other one gives that up when he sees ours.
    comes_before = (priority, task_id) < first.key[:2] and chosen in ("", task_id)
    return Stand(behind="" if comes_before else first.task_id)


# -- while it is put together ---------------------------------------------------------------------------------------


class Act(Enum):
    """What is done about a call or an offer of ours."""

    WAIT = "wait"
    LEAVE = "leave"  # hold nothing for it any longer
    JOIN = "join"  # it goes: begin
    OVER = "over"  # nothing of ours is left in it


@dataclass(frozen=True)
class Commit:
    """Of the offers these become ranks; then the task is claimed, and the gang goes."""

    offers: tuple[str, ...]


def of_call(own: Gang, gangs: Sequence[Gang], nodes: int, terms: Terms, *, is_wanted: bool) -> Act | Commit:
    """What the caller of a gang does.

    Args:
        own: the gang.
        gangs: all that were seen.
        nodes: it is a task over so many.
        terms: how long what must stand still.
        is_wanted: the task waits, its turn is now, and our GPUs are there for it.
    """
    if own.stage in (GangStage.OFF, GangStage.GO):
        return Act.LEAVE
    first = called(gangs, terms)
    if not is_wanted or (first is not None and first.key < own.key):
        return Act.LEAVE
    if own.stage is not GangStage.CALL:
        return Act.WAIT
    open_claims = [claim for claim, end in own.members.items() if end is None]
    if any(own.stands_still_s(claim) >= terms.dead_after_s for claim in open_claims):
        return Act.LEAVE  # it would go without that one
    lack = nodes - 1 - len(open_claims)
    ready = sorted(one for one in own.offers if own.stands_still_s(one) < terms.dead_after_s)
    return Commit(tuple(ready[: max(0, lack)])) if len(ready) >= lack else Act.WAIT


def of_offer(claim: str, gang: Gang | None, terms: Terms, *, is_wanted: bool, may_begin: bool) -> Act:
    """What a node does that holds its GPUs ready for a gang.

    Args:
        claim: that its rank is going to have.
        gang: as it was seen; None: it is gone.
        terms: how long what must stand still.
        is_wanted: the task's turn is now, and our GPUs are there for it.
        may_begin: our agent serves, and nobody ends it.
    """
    if gang is None:
        return Act.OVER
    if claim in gang.members:
        if gang.members[claim] is not None:
            return Act.OVER
        if gang.stage is GangStage.GO and gang.ranks:
            # A node that wants to leave by now is a rank that ends.  Whose turn it would be does not matter any more.
            return Act.JOIN if claim in gang.ranks and may_begin else Act.LEAVE
    if gang.stage is GangStage.OFF or not is_wanted:
        return Act.LEAVE
    if gang.stage is GangStage.GO and claim in gang.offers:
        return Act.LEAVE
    return Act.LEAVE if gang.stands_still_s() >= terms.dead_after_s and gang.stage is GangStage.CALL else Act.WAIT


# -- while it runs --------------------------------------------------------------------------------------------------

_RUN_AGAIN = (Why.AGAIN, Why.SAVED)
_GRAVITY = (Why.STOPPED, Why.TIMEOUT, Why.NOSTART, Why.LOST, Why.FENCED, Why.REQUEUE, *_RUN_AGAIN, None)
"""Of several ends that are seen at once: what somebody did comes before what the scripts of others made of it."""


def is_success(end: End) -> bool:
    """Whether a rank did what it should, so that the others may go on."""
    # In the name of a claim both stand behind 255; who has saved may have the status of its signal.
    return (
        end.why is Why.SAVED
        or (end.status == 0 and end.why is not Why.NOSTART)
        or (end.status == 255 and end.why in _RUN_AGAIN)
    )


def agreed(gang: Gang, own: End) -> End:
    """How a gang has ended of which each rank did what it should: one that asks to be run again asks for all.

    Args:
        gang: as it was seen.
        own: how rank 0 has ended.
    """
    whys = [end.why for end in (own, *gang.members.values()) if end is not None and end.why in _RUN_AGAIN]
    return End(0, min(whys, key=_GRAVITY.index)) if whys else own


def verdict(gang: Gang, own: End | None, terms: Terms, asked_s: float = 0.0) -> RankEnd | None:
    """By which rank a gang comes to its end, as whoever has the task's claim sees it; None: it need not.

    Args:
        gang: as it was seen.
        own: how rank 0 has ended, or is going to; None: it runs.
        terms: how long what must stand still.
        asked_s: for how long the others have gone on since a rank ended that asks to be run again, or has saved.
    """
    if gang.end is not None:
        return gang.end
    ends = {0: own, **{rank: _end_of(gang, claim, terms) for rank, claim in enumerate(gang.ranks) if rank}}
    bad = [RankEnd(rank, end) for rank, end in ends.items() if end is not None and not is_success(end)]
    if not bad and asked_s >= terms.patience_s:
        bad = [RankEnd(rank, end) for rank, end in ends.items() if end is not None and end.why in _RUN_AGAIN]
    return min(bad, key=lambda one: (_GRAVITY.index(one.end.why), one.rank), default=None)


def asks(gang: Gang, own: End | None) -> bool:
    """Whether a rank has ended that asks to be run again, or has saved."""
    return any(end is not None and end.why in _RUN_AGAIN for end in (own, *gang.members.values()))


def _end_of(gang: Gang, claim: str, terms: Terms) -> End | None:
    if claim not in gang.members:
        return End(255, Why.LOST)  # somebody removed it
    end = gang.members[claim]
    is_silent = end is None and gang.stands_still_s(claim) >= terms.takeover_after_s
    return End(255, Why.LOST) if is_silent else end


@dataclass(frozen=True)
class Gathered:
    """How far the other ranks are on their way to the end."""

    give_up: tuple[str, ...] = ()
    """Claims of ranks for which nobody waits any longer."""
    is_over: bool = False
    """Nothing of them runs."""


def gather(gang: Gang, ending_s: float, terms: Terms) -> Gathered:
    """How far the other ranks are.

    Args:
        gang: as it was seen.
        ending_s: for how long it has been told to end; 0: it is not, and may end by itself.
        terms: how long what must stand still.
    """
    give_up, is_over = [], True
    for claim, end in gang.members.items():
        is_silent = gang.stands_still_s(claim) >= terms.takeover_after_s
        if end is None and (is_silent or ending_s >= terms.patience_s):
            give_up.append(claim)
        if end in (None, GIVEN_UP) and not is_silent:
            is_over = False
    return Gathered(tuple(sorted(give_up)), is_over)


# -- what nobody has in hand ----------------------------------------------------------------------------------------


class Tidy(Enum):
    """What any agent does about the directory of a gang that it has no part in."""

    LEAVE = "leave it alone"
    END = "end it"
    REMOVE = "remove it"


def tidy(gang: Gang, node: str, terms: Terms) -> Tidy:
    """What is done about the directory of a gang of which we have nothing in hand.

    Args:
        gang: as it was seen.
        node: ours.
        terms: how long what must stand still.
    """
    if gang.stage is GangStage.CALL:
        is_dead = gang.caller == node or gang.stands_still_s() >= terms.dead_after_s
        return Tidy.END if is_dead else Tidy.LEAVE
    if gang.unclaimed_s < terms.unclaimed_after_s:
        return Tidy.LEAVE
    if gang.stage is GangStage.GO:
        return Tidy.END
    is_empty = not gang.offers and gather(gang, 0.0, terms).is_over
    return Tidy.REMOVE if is_empty or gang.unclaimed_s >= terms.takeover_after_s else Tidy.LEAVE
