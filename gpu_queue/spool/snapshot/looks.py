"""What is read of a spool by those who only look, one directory at a time, and nothing twice that did not change.

Each look keeps what it found until it finds something else.  Storage that fails leaves the last good state, with the
problem beside it; whatever lies in a directory is read within bounds, and none of it stops a look.
"""

from __future__ import annotations

import os
import stat
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter

from gpu_queue.reasons import Code, reason
from gpu_queue.spool import files
from gpu_queue.spool.paths import (
    SpoolPaths,
    is_skipped,
    parse_claim,
    parse_drop,
    parse_full,
    strip_claim,
    title_of,
)
from gpu_queue.spool.snapshot.places import PendingName, Seen, Settled
from gpu_queue.spool.snapshot.settled import SettledNames
from gpu_queue.spool.snapshot.view import ServerClock
from gpu_queue.spool.store import some_names
from gpu_queue.task import Claim, State
from gpu_queue.texts import printable
from gpu_queue.units import stamp

PENDING_MAX = 200_000
SETTLED_MAX = 1_000_000
CLAIMS_MAX = 10_000
"""Names in one node's directory."""
NODES_MAX = 256
TOLD_MAX = 10_000
"""So many ends since a listing of done/ and failed/ are a reason for the next one."""
DROPS_LOOKED_MAX = 500
"""Hand drops that are looked up in one look; the next one goes on."""
DROP_SETTLED_S = 120.0
FEW = 100
RACY_S = 2.0
"""A directory that was changed so shortly before it was listed may have changed since without another mtime: the
clocks of filesystems tick in up to two seconds."""
RELIST_AFTER_S = 60.0
RELIST_AT_ONCE = 10_000
"""So many settled names are listed whenever their directory changed; more of them after a minute, or when a task
is missing."""
CLOCK_OFF_S = 1.0
"""The server's clock is taken anew where it goes so far from what we reckon."""


@dataclass
class Cost:
    """What looking has cost the storage so far."""

    listings: Counter[str] = field(default_factory=Counter)
    """By look: directories that were listed."""
    opens: int = 0
    """Files that were opened."""


@dataclass
class Eyes:
    """What all looks share: where, when, and what went wrong."""

    paths: SpoolPaths
    may_write: bool = True
    now: float = 0.0
    turn: int = 0
    clock: ServerClock | None = None
    is_changed: bool = True
    """Something was found that was not known before."""
    must_ask_clock: bool = False
    problems: dict[str, dict[str, str]] = field(default_factory=dict)
    """By look: by file."""
    cost: Cost = field(default_factory=Cost)

    def names(self, look: str, directory: str, at_most: int) -> tuple[list[str], bool]:
        """List a directory, as ``some_names`` does.

        Raises:
            OSError: it could not be listed.
        """
        self.cost.listings[look] += 1
        return some_names(directory, at_most)

    def next_turn(self) -> int:
        """The number of one more look at a directory."""
        self.turn += 1
        return self.turn

    def short(self, path: str) -> str:
        """A path below the spool."""
        return path.removeprefix(f"{self.paths.root}/")

    def note(self, look: str, path: str, problem: Exception | str | None) -> None:
        """A file that cannot be read; None: it can."""
        noted = self.problems.setdefault(look, {})
        if problem is None:
            self.is_changed |= noted.pop(self.short(path), None) is not None
            return
        text = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
        self.is_changed |= noted.get(self.short(path)) != text
        noted[self.short(path)] = text

    def forget(self, look: str, kept: Iterable[str]) -> None:
        """Only these paths of a look are still there."""
        noted = self.problems.get(look, {})
        there = {self.short(path) for path in kept}
        for one in [one for one in noted if one not in there]:
            del noted[one]
            self.is_changed = True

    @contextmanager
    def watched(self, look: str, path: str) -> Iterator[None]:
        """Note what goes wrong with a file or directory, and go on."""
        try:
            yield
        except (OSError, files.FileProblem, ValueError) as error:  # ValueError: a name that no path can have
            self.note(look, path, error)
        else:
            self.note(look, path, None)

    def has_problem(self, look: str, path: str) -> bool:
        """Whether that file could not be read when it was looked at last."""
        return self.short(path) in self.problems.get(look, {})

    def failed(self, *looks: str) -> bool:
        """Whether something of these looks could not be read."""
        return any(self.problems.get(look) for look in looks)

    def saw(self, server_s: float) -> None:
        """An mtime that is new: the server's clock is not behind it."""
        if self.clock is None:
            self.clock = ServerClock(server_s, self.now, is_exact=False)
        elif server_s > self.clock.now_s(self.now) + (CLOCK_OFF_S if self.clock.is_exact else 0.0):
            self.must_ask_clock = True
            if not self.clock.is_exact:
                self.clock = ServerClock(server_s, self.now, is_exact=False)

    def ask_clock(self) -> None:
        """Ask the server for its time by a file that is just written there."""
        self.must_ask_clock = False
        if not self.may_write:
            return
        try:
            server_s = files.server_now_s(self.paths.control)
        except OSError:
            return  # it may only be read, or does not answer: what was reckoned so far has to do
        known = self.clock
        if known is None or not known.is_exact or abs(known.now_s(self.now) - server_s) > CLOCK_OFF_S:
            self.clock = ServerClock(server_s, self.now, is_exact=True)
            self.is_changed = True


_in_order = attrgetter("key", "name")


class PendingLook:
    """pending/: names, in run order."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._directory = eyes.paths.directory(State.PENDING)
        self.turn = 0
        self.names: dict[str, PendingName] = {}
        """All but those that are skipped."""
        self.order: tuple[PendingName, ...] = ()
        """The same in run order."""
        self.by_id: dict[str, PendingName] = {}
        self.doubles: dict[str, list[PendingName]] = {}
        """Ids that several names bear."""
        self.drops: set[str] = set()
        """Names without an id."""
        self.is_cut = False
        self.is_known = False
        self._skipped: set[str] = set()

    @property
    def skipped(self) -> int:
        """How many names are never run."""
        return len(self._skipped)

    def look(self) -> None:
        """List it."""
        with self._eyes.watched("pending", self._directory):
            names, self.is_cut = self._eyes.names("pending", self._directory, PENDING_MAX)
            self.turn = self._eyes.next_turn()
            self._take(set(names))

    def _take(self, listed: set[str]) -> None:
        self._eyes.is_changed |= not self.is_known
        self.is_known = True
        new = listed - self.names.keys() - self._skipped
        has_lost = len(listed) != len(self.names) + len(self._skipped) + len(new)
        if new or has_lost:
            self._eyes.is_changed = True
            self._skipped = {name for name in self._skipped if name in listed} | set(filter(is_skipped, new))
        lost = self.names.keys() - listed if has_lost else set()
        again = [name for name in self.drops - lost if self._may_change(self.names[name])]
        seen = {name: self._first_sight(name) for name in new - self._skipped}
        drops = [name for name, one in seen.items() if one.task_id is None] + again
        seen |= {name: self._look_up(name) for name in drops[:DROPS_LOOKED_MAX]}
        seen = {name: one for name, one in seen.items() if self.names.get(name) != one}
        if lost or seen:
            self._eyes.is_changed = True
            self._change(lost | (seen.keys() & self.names.keys()), seen)

    def _change(self, lost: set[str], seen: dict[str, PendingName]) -> None:
        """Take what is new into what is sorted, for there may be ten thousand of the rest."""
        for name in lost:
            self._drop(self.names.pop(name))
        order = [one for one in self.order if one.name not in lost] if lost else list(self.order)
        self.names |= seen
        for one in seen.values():
            if one.task_id is None:
                self.drops.add(one.name)
            elif self.by_id.setdefault(one.task_id, one) is not one:
                self.doubles.setdefault(one.task_id, [self.by_id[one.task_id]]).append(one)
            if len(seen) <= FEW:
                insort(order, one, key=_in_order)
        self.order = tuple(order if len(seen) <= FEW else sorted([*order, *seen.values()], key=_in_order))

    def _drop(self, one: PendingName) -> None:
        if one.task_id is None:
            self.drops.discard(one.name)
            return
        others = [other for other in self.doubles.pop(one.task_id, [one]) if other is not one]
        if not others:
            del self.by_id[one.task_id]
            return
        self.by_id[one.task_id] = others[0]
        if len(others) > 1:
            self.doubles[one.task_id] = others

    def _may_change(self, drop: PendingName) -> bool:
        """Whether a hand drop may not be finished: its ctime orders it."""
        clock = self._eyes.clock
        if drop.came_s is None or drop.unready is not None or clock is None:
            return True
        return clock.now_s(self._eyes.now) - drop.came_s < DROP_SETTLED_S

    def _first_sight(self, name: str) -> PendingName:
        plain = strip_claim(name)
        full = parse_full(plain)
        if full is not None:
            return PendingName(name, plain, full[0], full[1], title_of(full[1]))
        priority, raw = parse_drop(name)
        return PendingName(name, f"{priority:03d}-{stamp(0)}-{name}", priority, None, printable(os.fsdecode(raw)))

    def _look_up(self, name: str) -> PendingName:
        """A hand drop, with what its file tells; never opened."""
        one = self._first_sight(name)
        try:
            facts = os.lstat(f"{self._directory}/{name}")
        except (OSError, ValueError):
            return one  # it is gone, or nobody knows
        why = None if stat.S_ISREG(facts.st_mode) else reason(Code.NOT_A_FILE, kind=files.kind_of(facts.st_mode))
        key = f"{one.priority:03d}-{stamp(facts.st_ctime)}-{name}"
        return replace(one, key=key, came_s=facts.st_ctime, unready=why)


class RunningLook:
    """running/<node>/: claims."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self.turn = 0
        self.nodes: dict[str, tuple[Seen, ...]] = {}
        self.is_cut = False
        self.is_known = False
        self._cut: set[str] = set()

    def look(self, only: Iterable[str] = ()) -> None:
        """List all nodes' claims, or those of some."""
        directory = self._eyes.paths.all_running
        wanted = [one for one in only if one in self.nodes]
        if wanted:
            for node in wanted:
                self._list(node)
            return
        with self._eyes.watched("running", directory):
            nodes, is_cut = self._eyes.names("running", directory, NODES_MAX)
            self._eyes.is_changed |= not self.is_known
            self.is_known = True
            nodes = sorted(one for one in nodes if not one.startswith("."))
            for node in [node for node in self.nodes if node not in nodes]:
                del self.nodes[node]
                self._eyes.is_changed = True
            for node in nodes:
                self._list(node)
            self._cut &= {*nodes}
            self.is_cut = is_cut or bool(self._cut)
            self._eyes.forget("running", [directory, *map(self._eyes.paths.running, nodes)])
        self.turn = self._eyes.turn

    def _list(self, node: str) -> None:
        directory = self._eyes.paths.running(node)
        with self._eyes.watched("running", directory):
            try:
                names, is_cut = self._eyes.names("running", directory, CLAIMS_MAX)
            except (FileNotFoundError, NotADirectoryError):
                self._eyes.is_changed |= self.nodes.pop(node, None) is not None  # put away, or never was one
                return
            turn = self._eyes.next_turn()
            (self._cut.add if is_cut else self._cut.discard)(node)
            found: dict[Claim, Seen] = {}
            for name in sorted(names):
                parsed = parse_claim(name)
                if parsed is not None:
                    claim, end = parsed  # where somebody has copied one, that which has ended comes last
                    found[claim] = Seen(turn, State.RUNNING, name, claim.task_id, node, claim, end)
            before = self.nodes.get(node)
            if before is None or [one.name for one in before] != [one.name for one in found.values()]:
                self._eyes.is_changed = True
            self.nodes[node] = tuple(found.values())

    def claims(self) -> Iterator[Seen]:
        """All of them."""
        for node in sorted(self.nodes):
            yield from self.nodes[node]


class SettledLook:
    """done/ or failed/: listed when it must be, since it may be huge."""

    def __init__(self, eyes: Eyes, state: State) -> None:
        self._eyes = eyes
        self._directory = eyes.paths.directory(state)
        self._look = state.value
        self.state = state
        self.found = Settled()
        self.is_cut = False
        self.is_known = False
        self._listed_at = float("-inf")
        self._mtime_s: float | None = None
        self._is_proven = False
        self._fingerprint: tuple[int, int] | None = None

    def look(self) -> None:
        """List it."""
        with self._eyes.watched(self._look, self._directory):
            mtime_s = os.lstat(self._directory).st_mtime  # before the listing: what changes during it shows later
            self._eyes.saw(mtime_s)
            names, self.is_cut = self._eyes.names(self._look, self._directory, SETTLED_MAX)
            clock = self._eyes.clock
            self._is_proven = clock is not None and mtime_s < clock.now_s(self._eyes.now) - RACY_S
            self._mtime_s, self._listed_at = mtime_s, self._eyes.now
            # To find a hundred thousand names unchanged costs a fraction of parsing them.
            fingerprint = len(names), hash(frozenset(names))
            is_known = fingerprint == self._fingerprint
            listed = self.found.names if is_known else SettledNames.of(names)
            self._fingerprint = fingerprint
            if not self.is_known or listed is not self.found.names or self.found.told:
                self._eyes.is_changed = True
            self.is_known = True
            self.found = Settled(listed, self._eyes.next_turn())

    def look_if_due(self, every_s: float = RELIST_AFTER_S) -> None:
        """List it if it may have changed; after a minute in any case, since NFS may show an old mtime."""
        is_old = self._eyes.now - self._listed_at >= every_s or len(self.found.told) >= TOLD_MAX
        is_small = len(self.found.names.ids) <= RELIST_AT_ONCE
        is_changed = is_small and (not self._is_proven or self._has_changed())
        if is_old or is_changed or self._eyes.failed(self._look):
            self.look()

    def _has_changed(self) -> bool:
        try:
            return os.lstat(self._directory).st_mtime != self._mtime_s
        except OSError:
            return True

    def tell(self, ends: dict[str, int], others: Iterable[str]) -> None:
        """A node's history told of tasks that came here (ids with priorities), and of tasks that went on since."""
        told = dict(self.found.told)
        turn = self._eyes.turn
        told.update({one: (priority, turn) for one, priority in ends.items()})
        for one in others:
            told.pop(one, None)
        if told != self.found.told:
            self.found = replace(self.found, told=told)
            self._eyes.is_changed = True
