"""What the storage thread does for tasks over several nodes (docs/spool.md, "Tasks over several nodes").

Each method is one errand.  What is decided is decided by :mod:`gpu_queue.scheduling.gangs` in the main thread, by
what a look has found; every step asks the truth by its rename.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field

from gpu_queue.node.endings import Writer
from gpu_queue.node.pending import SCRIPT_MAX_BYTES
from gpu_queue.node.transitions import Claimed, NotClaimed, Settled, Transitions
from gpu_queue.spool import files, gangs, growing, records
from gpu_queue.spool.gangs import Part, Rank, Ranks, Seen
from gpu_queue.spool.pages import read_page
from gpu_queue.spool.paths import SpoolPaths, claim_name, ended_name, full_name, parse_claim
from gpu_queue.spool.store import Moved, listing, move
from gpu_queue.states import AgentState, GangStage, GpuState
from gpu_queue.task import GIVEN_UP, Claim, End, RankEnd, Settlement, State, Waiting

LOOPBACK = "127.0.0.1"
SERVING_AGE_S = 150.0
"""A node file that is older says nothing of what its node serves."""


@dataclass(frozen=True)
class Serving:
    """What another node serves, as its page tells."""

    node: str
    memory_bytes: tuple[int | None, ...]
    """Of each of its GPUs that a task may have at all."""
    left_s: float | None = None
    """How much of its lifetime was left; None: it never ends."""


@dataclass(frozen=True)
class GangLook:
    """One look at all gangs."""

    began_at: float
    seen: tuple[Seen, ...]
    claimed: frozenset[str] | None = None
    """The names of all claims on all nodes; None: they were not listed."""
    serving: tuple[Serving, ...] | None = None
    """The other nodes that take tasks; None: they were not read."""


@dataclass(frozen=True)
class Began:
    """A gang goes, and its task is ours."""

    claimed: Claimed
    ranks: Ranks


@dataclass
class _Page:
    mark: tuple[int, int]
    serving: Serving | None = None
    age_s: float = 0.0


@dataclass
class GangSide:
    """One node's part in gangs."""

    paths: SpoolPaths
    node: str
    uids: frozenset[int]
    """Whose scripts run here."""
    owners: frozenset[int]
    """Whose word about gangs counts."""
    transitions: Transitions
    papers: Writer
    _pages: dict[str, _Page] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gangs = gangs.Gangs(self.paths, self.owners)

    # -- looking ---------------------------------------------------------------------------------------------------

    def look(self, now: float, *, thorough: bool, serving: bool) -> GangLook:
        """All gangs.

        Args:
            now: monotonic seconds.
            thorough: also when files were touched last, and which claims there are.
            serving: also what the other nodes serve.

        Raises:
            OSError: something could not be looked at: nothing is known.
        """
        claims = gangs.names_of(self.paths)
        seen = tuple(self._gangs.look(claim, marks=thorough) for claim in claims)
        self._gangs.forget_others({name for one in seen for name in (one.name, *one.offers, *one.members)})
        claimed = self._all_claims() if thorough and seen else None
        return GangLook(now, seen, claimed, self._serving() if serving else None)

    def _all_claims(self) -> frozenset[str]:
        found: set[str] = set()
        for node in listing(self.paths.all_running):
            try:
                names = listing(self.paths.running(node))
            except (NotADirectoryError, FileNotFoundError):
                continue
            found.update(claim_name(parsed[0]) for parsed in map(parse_claim, names) if parsed is not None)
        return frozenset(found)

    def _serving(self) -> tuple[Serving, ...]:
        server_now_s = files.server_now_s(self.paths.nodes)
        found, pages = [], {}
        for name in listing(self.paths.nodes):
            node = name.removesuffix(".json")
            if not name.endswith(".json") or name.startswith(".") or node == self.node:
                continue
            path = self.paths.node_json(node)
            mark = files.mark_of(path)
            if mark is None or server_now_s - mark[1] / 1e9 > SERVING_AGE_S:
                continue
            known = self._pages.get(node)
            if known is None or known.mark != mark:
                known = _Page(mark, self._read_serving(path, node))
            pages[node] = known
            if known.serving is not None:
                found.append(known.serving)
        self._pages = pages
        return tuple(found)

    def _read_serving(self, path: str, node: str) -> Serving | None:
        try:
            page = read_page(path, node)
        except files.FileProblem:
            return None
        if page.state is not AgentState.SERVING:
            return None
        memory = tuple(gpu.memory_total_bytes for gpu in page.gpus if gpu.state is not GpuState.LOST)
        left_s = None if page.ends_s is None or page.beat_s is None else page.ends_s - page.beat_s
        return Serving(node, memory, left_s)

    # -- putting it together ---------------------------------------------------------------------------------------

    def call(self, claim: Claim, part: Part) -> None:
        """Call other nodes together.

        Raises:
            OSError: it could not be written.
        """
        self.papers.with_directories(lambda: gangs.call(self.paths, claim, part))

    def offer(self, claim: Claim, member: Claim, part: Part) -> None:
        """Hold GPUs ready.

        Raises:
            OSError: it could not be written; or there is no such gang.
        """
        gangs.offer(self.paths, claim, member, part)

    def touch(self, claim: Claim, member: Claim | None) -> None:
        """Give a sign of life of a call, an offer, or a rank that has not begun."""
        for path in gangs.held_at(self.paths, claim, member):
            try:
                os.utime(path)
            except OSError:
                continue  # it is there under another name, or the next look tells

    def commit(
        self, waiting: Waiting, claim: Claim, offers: Collection[str], nodes: int, part: Part, port: int
    ) -> Began | NotClaimed | None:
        """Make ranks of offers, claim the task, and have it go; None: not yet, for one of them has left.

        Args:
            waiting: the task.
            claim: of rank 0, which is ours.
            offers: these.
            nodes: it is a task over so many.
            part: what our own node brings.
            port: that is free here.

        Raises:
            OSError: the claim is ours, but its files could not be read or made: the caller gives it back.
        """
        for name in offers:
            parsed = parse_claim(name)
            if parsed is not None:
                gangs.accept(self.paths, claim, parsed[0])
        seen = self._gangs.look(claim)
        there = sorted(name for name, end in seen.members.items() if end is None and name in seen.parts)[: nodes - 1]
        if seen.stage is not GangStage.CALL or len(there) < nodes - 1:
            return None
        claimed = self.transitions.claim(waiting, claim)
        if isinstance(claimed, NotClaimed):
            return claimed
        members = [Rank(rank, name, seen.parts[name]) for rank, name in enumerate(there, 1)]
        all_ranks = (Rank(0, claim_name(claim), part), *members)
        ranks = Ranks(all_ranks, meeting_at([one.part for one in all_ranks]), port)
        if gangs.begin(self.paths, claim, ranks) is Moved.WON:
            return Began(claimed, ranks)
        self.papers.close(claimed.log)
        pending = f"{self.paths.directory(State.PENDING)}/{full_name(claim.priority, claim.task_id)}"
        back = move(self.paths.claim(self.node, claim), pending)
        if back.moved is Moved.UNKNOWN and back.error is not None:
            raise back.error
        return NotClaimed(Moved.LOST, "its nodes left before it could start; it waits again")

    def leave(self, claim: Claim, member: Claim | None, end: End) -> bool:
        """Hold nothing ready any more; a call that counted on us comes to nothing.  Whether that is so by now.

        Args:
            claim: of rank 0.
            member: the claim that our rank has or was going to have; None: we called.
            end: how it ends.
        """
        if member is not None:
            moved = gangs.withdraw(self.paths, claim, member, end)
            if moved is not Moved.LOST:
                return moved is Moved.WON
        # First the call: nobody may go by a rank that has left.
        if gangs.end(self.paths, claim, GangStage.CALL) is Moved.UNKNOWN:
            return False
        return member is None or gangs.end_member(self.paths, claim, member, end) is not Moved.UNKNOWN

    def join(self, claim: Claim, member: Claim, rank: int, leader: str) -> Claimed | NotClaimed:
        """What a rank runs, by the task as rank 0 has it.

        Args:
            claim: of rank 0.
            member: ours.
            rank: which we are.
            leader: the node of rank 0.

        Raises:
            OSError: something could not be read or made: the rank ends, and the gang with it.
        """
        path = self.paths.claim(leader, claim)
        try:
            script, _ = files.read_script(path, SCRIPT_MAX_BYTES + 1, self.uids)
        except files.FileProblem as problem:
            raise PermissionError(f"{path}: {problem}") from None
        submission = records.read_submission(self.paths, claim.task_id, self.uids)
        log, no_log = self.paths.rank_log(claim, rank), ""
        try:
            descriptor = self.papers.with_directories(lambda: growing.open_to_append(log))
        except growing.NotRegular as error:
            descriptor, no_log = -1, f"cannot write the log {log}: {error.strerror}"
        return Claimed(member, self.paths.gang_member(claim, member), descriptor, no_log, script, submission)

    # -- ending ----------------------------------------------------------------------------------------------------

    def end_rank(self, claim: Claim, member: Claim, rank: int, end: End, log: int, last_line: str) -> Settled:
        """Say how our rank has ended.

        Args:
            claim: of rank 0.
            member: ours.
            rank: which.
            end: how.
            log: the descriptor of its log; negative: it is not open here.
            last_line: of the log.
        """
        self.papers.end_log_at(self.paths.rank_log(claim, rank), log, last_line)
        seen = self._gangs.look(claim)
        moved = Moved.LOST
        if seen.stage is GangStage.CALL:
            moved = Moved.WON if self.leave(claim, member, end) else Moved.UNKNOWN
        elif claim_name(member) in seen.members:
            moved = gangs.end_member(self.paths, claim, member, end)
        result = Settlement(State.RUNNING, f"rank {rank} has ended ({end.status})")
        return Settled(moved, result, "its directory could not be written" if moved is Moved.UNKNOWN else "")

    def say_end(self, claim: Claim, by: RankEnd) -> None:
        """Say by which rank a gang comes to its end: whoever has the task's claim ends it.

        Raises:
            OSError: it could not be written.
        """
        gangs.note_end(self.paths, claim, by)

    def say_warned(self, claim: Claim) -> None:
        """Say that our rank was told that its end is near.

        Raises:
            OSError: it could not be written.
        """
        gangs.note_warned(self.paths, claim)

    def finish(self, claim: Claim, by: RankEnd | None) -> bool:
        """End a gang; whether it is ended.

        Raises:
            OSError: it could not be written by whom.
        """
        if by is not None:
            gangs.note_end(self.paths, claim, by)
        moves = [gangs.end(self.paths, claim, before) for before in (GangStage.GO, GangStage.CALL)]
        return Moved.UNKNOWN not in moves

    def name_end(self, claim: Claim, end: End) -> bool:
        """Have the name of the task's claim tell how the task's try ends; whether it does."""
        source = self.paths.claim(self.node, claim)
        return move(source, f"{self.paths.running(self.node)}/{ended_name(claim, end)}").moved is Moved.WON

    def give_up(self, claim: Claim, members: Collection[str]) -> None:
        """Wait no longer for these ranks: their shims find out by that."""
        for name in members:
            parsed = parse_claim(name)
            if parsed is not None:
                gangs.end_member(self.paths, claim, parsed[0], GIVEN_UP)

    def remove(self, claim: Claim) -> bool:
        """Remove what is left of a gang; whether it is gone."""
        return gangs.remove(self.paths, claim)


def meeting_at(parts: Collection[Part]) -> str:
    """The address at which ranks meet: that of rank 0, and the loopback where all nodes are one host."""
    first = next(iter(parts))
    if len({(one.host, one.address) for one in parts}) == 1:
        return LOOPBACK
    return first.address or first.host
