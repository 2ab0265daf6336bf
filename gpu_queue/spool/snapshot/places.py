"""Where each task is, from listings that were not made at one moment.  Pure.

- Directories are listed in the order in which a task moves on: pending, running, done, failed.  One that moves
  meanwhile is in two listings, or, where it went the other way, in none.
- What was seen last is true: of two places the one that was listed later has the task.  To be in none is a reason to
  look again, and only then is it gone.
- A task that stays in two places, however often they are listed, is a copy that somebody made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from gpu_queue.reasons import Reason
from gpu_queue.spool.paths import full_name
from gpu_queue.spool.snapshot.settled import SettledNames
from gpu_queue.task import Claim, End, State

_ORDER = {state: number for number, state in enumerate(State)}


@dataclass(frozen=True)
class PendingName:
    """A name in pending/ that is not skipped."""

    name: str
    key: str
    """Run order."""
    priority: int
    task_id: str | None
    """None: a hand drop."""
    title: str
    came_s: float | None = None
    """Of a hand drop: the ctime of its file, by the server's clock."""
    unready: Reason | None = None
    """It is no regular file."""


@dataclass(frozen=True)
class Seen:
    """A task in one place, and in which turn of looking it was seen there."""

    turn: int
    state: State
    name: str
    """In its directory."""
    task_id: str
    node: str = ""
    claim: Claim | None = None
    end: End | None = None

    @property
    def where(self) -> tuple[State, str, str]:
        """The place, whenever it was seen there."""
        return self.state, self.node, self.name

    @property
    def rank(self) -> tuple[int, int, bool, int, str]:
        """Of two places of one task the one of the higher rank has it."""
        number = self.claim.number if self.claim is not None else 0
        return self.turn, _ORDER[self.state], self.end is not None, number, self.name


Pair = frozenset[tuple[State, str, str]]


@dataclass(frozen=True)
class Settled:
    """A directory of settled tasks, as it was listed, and what the nodes' histories have told since."""

    names: SettledNames = field(default_factory=SettledNames)
    turn: int = 0
    told: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Ids with their priorities, and the turn in which that was told."""

    def has(self, task_id: str) -> bool:
        """Whether a task is there."""
        return task_id in self.told or self.names.position(task_id) is not None

    def seen(self, state: State, task_id: str) -> Seen | None:
        """A task there."""
        if task_id in self.told:
            priority, turn = self.told[task_id]
            return Seen(turn, state, full_name(priority, task_id), task_id)
        if self.names.position(task_id) is None:
            return None
        return Seen(self.turn, state, full_name(self.names.priority(task_id), task_id), task_id)


@dataclass(frozen=True)
class Places:
    """Each task in one place."""

    waiting: Mapping[str, PendingName]
    """By id."""
    running: Mapping[str, tuple[Seen, ...]]
    """By id; one that truly runs twice has two."""
    moved_on: frozenset[str]
    """Names in pending/ whose tasks were seen elsewhere since."""
    copies: frozenset[str]
    """Names in pending/ whose tasks run or are settled as well: they will be other tasks."""
    hidden: Mapping[State, frozenset[str]]
    """Ids in done/ and failed/ whose tasks are elsewhere."""
    doubtful: frozenset[str]
    """Ids that are in a place which should be listed again: the task was seen further back since."""
    pairs: Mapping[Pair, int]
    """Tasks in two places, and the turn in which that was found first."""
    is_open: bool
    """One of these pairs may be a task that moved: only another look tells."""


def place(
    pending: Mapping[str, PendingName],
    doubles: Mapping[str, Sequence[PendingName]],
    pending_turn: int,
    claims: Iterable[Seen],
    settled: Mapping[State, Settled],
    is_settled: Callable[[Mapping[str, object]], set[str]],
    settled_twice: set[str],
    before: Mapping[Pair, int],
) -> Places:
    """Decide where each task is.

    Args:
        pending: the names in pending/, by the id that they bear.
        doubles: all names of ids that several bear.
        pending_turn: when it was listed.
        claims: all claims.
        settled: done/ and failed/.
        is_settled: which of these ids are in done/ or failed/.
        settled_twice: ids in both.
        before: the pairs of the last time.
    """
    waiting = dict(pending)
    running: dict[str, tuple[Seen, ...]] = {}
    for seen in claims:
        running[seen.task_id] = (*running.get(seen.task_id, ()), seen)
    crowded = set(doubles)
    crowded |= {one for one, of in running.items() if one in waiting or len(of) > 1}
    crowded |= is_settled(waiting) | is_settled(running) | settled_twice
    moved_on, copies, doubtful = set(), set(), set()
    hidden: dict[State, set[str]] = {state: set() for state in settled}
    pairs: dict[Pair, int] = {}
    is_open = False
    for task_id in crowded:
        first = waiting.pop(task_id, None)
        names = {one.name: one for one in doubles.get(task_id, () if first is None else (first,))}
        found = [Seen(pending_turn, State.PENDING, name, task_id) for name in names]
        found += running.pop(task_id, ())
        found += [there for state, of in settled.items() if (there := of.seen(state, task_id)) is not None]
        shown, is_doubtful, is_sure = _choose(found, before, pairs)
        is_open |= not is_sure
        if is_doubtful:
            doubtful.add(task_id)
        if shown[0].state is State.PENDING:
            waiting[task_id] = names[shown[0].name]
        if shown[0].state is State.RUNNING:
            running[task_id] = tuple(one for one in shown if one.state is State.RUNNING)
        copies |= {one.name for one in shown[1:] if one.state is State.PENDING}
        moved_on |= {name for name in names if name not in {one.name for one in shown if one.state is State.PENDING}}
        for seen in found:
            if seen.state in hidden and seen not in shown:
                hidden[seen.state].add(task_id)
    return Places(
        waiting,
        running,
        frozenset(moved_on),
        frozenset(copies),
        {state: frozenset(ids) for state, ids in hidden.items()},
        frozenset(doubtful),
        pairs,
        is_open,
    )


def _choose(found: list[Seen], before: Mapping[Pair, int], pairs: dict[Pair, int]) -> tuple[list[Seen], bool, bool]:
    """Which of a task's places are shown, the first of which has it.

    Returns:
        Those; whether another one should be looked at again now; whether all of them were seen often enough to be
        more than the traces of a move.
    """
    found = sorted(found, key=lambda one: one.rank, reverse=True)
    last = found[0]
    stays = [last]
    is_doubtful, is_sure = False, True
    for one, other in combinations(found, 2):
        pair = frozenset({one.where, other.where})
        first = pairs[pair] = before.get(pair, max(one.turn, other.turn))
        is_confirmed = min(one.turn, other.turn) > first
        is_sure &= is_confirmed
        if one is last and is_confirmed:
            stays.append(other)
        elif one is last and one.turn > other.turn and _ORDER[one.state] <= _ORDER[other.state]:
            is_doubtful = True
    claims = [one for one in stays if one.state is State.RUNNING]
    names = [one for one in stays if one.state is State.PENDING]
    ends = [one for one in stays if one.state not in (State.RUNNING, State.PENDING)]
    if claims:
        shown = [*claims, *names]
    elif ends and names and ends[0].name != names[0].name:
        shown = names  # another priority: an agent takes it for the task itself
    else:
        shown = [*ends[:1], *names]
    return shown, is_doubtful, is_sure
