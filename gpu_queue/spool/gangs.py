"""What the nodes of a task over several nodes have to do with each other (docs/spool.md, "Tasks over several nodes").

::

    gangs/<claim of rank 0>/
      call | go | off       one file, whose name says how far it is: it is being put together; it runs; it ends
      offers/<claim>        a node holds its GPUs ready;  <claim>=<status>-<why>: no longer
      members/<claim>       the claim of another rank;    <claim>=<status>[-<why>]: this rank has ended so
      members/node          permanent, so that a listing is never empty
      ranks                 who has which rank, where to meet: written once, before ``call`` becomes ``go``
      end                   by which rank it comes to its end: of several the first to be written counts
      warned                a rank was sent its ``--signal``: so are the others

- Each step is one rename, and of two who want different things one wins: ``call`` becomes ``go`` or ``off``, an offer
  becomes a member's claim or is withdrawn.
- Claims of other ranks are spelled as that of rank 0, with tokens of their own, so that a shim knows its try by one.
- What a call, an offer and a member's claim hold never changes: who made it, and what it brings.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_queue import PROTOCOL
from gpu_queue.spool import files, growing
from gpu_queue.spool.fields import Fields
from gpu_queue.spool.paths import SpoolPaths, claim_name, ended_name, parse_claim
from gpu_queue.spool.store import Moved, listing, move
from gpu_queue.states import GangStage as Stage
from gpu_queue.task import GIVEN_UP, Claim, End, RankEnd, Why

NODES_MAX = 1024
"""A task over more nodes is none."""
GANGS_MAX = 1000
KEEPER = "node"
OFFERS, MEMBERS, END, WARNED = "offers", "members", "end", "warned"

Mark = tuple[int, int]
"""Inode and mtime: it changes with every sign of life."""


@dataclass(frozen=True)
class Part:
    """What one node brings."""

    node: str = ""
    host: str = ""
    address: str = ""
    """By which the others reach it."""
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    gpu_indices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Rank:
    """One rank of a gang that runs."""

    rank: int
    claim: str
    """The name of its claim: of rank 0 that of the task's."""
    part: Part


@dataclass(frozen=True)
class Ranks:
    """Who has which rank, and where they meet."""

    ranks: tuple[Rank, ...]
    address: str
    """Of rank 0."""
    port: int
    """That was free there."""

    def of(self, claim: str) -> Rank | None:
        """The rank that has a claim; None: none."""
        return next((one for one in self.ranks if one.claim == claim), None)


@dataclass(frozen=True)
class Seen:
    """A gang's directory, as one look found it."""

    claim: Claim
    """Of rank 0: its name is that of the directory."""
    stage: Stage
    offers: Mapping[str, End | None] = field(default_factory=dict)
    """By the name of the claim; how it came to be none."""
    members: Mapping[str, End | None] = field(default_factory=dict)
    """By the name of the claim; how the rank has ended."""
    caller: Part = field(default_factory=Part)
    """Who put, or puts, it together."""
    parts: Mapping[str, Part] = field(default_factory=dict)
    """What offers and members bring, by the name of the claim, as far as it can be read."""
    ranks: Ranks | None = None
    """None: there are none yet, or they cannot be read."""
    end: RankEnd | None = None
    """By which rank it comes to its end; None: by none yet, or it cannot be read."""
    is_warned: bool = False
    """A rank was told that its end is near."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Of the one file (by ``""``) and of all offers and members that are open or were given up, where they were asked
    for."""

    @property
    def name(self) -> str:
        """Of the claim of rank 0."""
        return claim_name(self.claim)


# -- reading --------------------------------------------------------------------------------------------------------


def stage_of(names: Collection[str]) -> Stage:
    """How far a gang is, by the names in its directory: where a listing shows both names of a rename, the later."""
    return next((one for one in (Stage.OFF, Stage.GO, Stage.CALL) if one.value in names), Stage.UNKNOWN)


def parse_part(value: object) -> Part:
    """What a node says that it brings; what does not fit is left out."""
    said = Fields(value)
    uuids = tuple(one for one in said.items("gpus") if isinstance(one, str))
    texts = (said.name("node"), said.name("host"), said.name("address"))
    return Part(*texts, uuids, said.integers("gpu_indices"))


def _encoded(part: Part) -> dict[str, Any]:
    said = {"node": part.node, "host": part.host, "address": part.address}
    return said | {"gpus": list(part.gpus), "gpu_indices": list(part.gpu_indices)}


def parse_ranks(value: object) -> Ranks | None:
    """Who has which rank; None where that is not told whole."""
    said = Fields(value)
    found = [Rank(one.count("rank"), one.name("claim"), parse_part(one.raw("part"))) for one in said.objects("ranks")]
    is_whole = [one.rank for one in found] == list(range(len(found))) and all(one.claim for one in found)
    if not found or not is_whole or len(found) > NODES_MAX or said.raw("protocol") != PROTOCOL:
        return None
    return Ranks(tuple(found), said.name("address"), said.count("port"))


def read_ranks(paths: SpoolPaths, claim: Claim, uids: frozenset[int] | None = None) -> Ranks | None:
    """Who has which rank; None where that cannot be read.

    Args:
        paths: of the spool.
        claim: of rank 0.
        uids: whose word counts; None: anybody's, for people who only look.

    Raises:
        OSError: the storage failed; ask again later.
    """
    try:
        return parse_ranks(files.read_json(paths.gang_ranks(claim), uids))
    except files.FileProblem:
        return None


def parse_end(value: object) -> RankEnd | None:
    """By which rank a gang comes to its end; None where that is not told whole."""
    said = Fields(value)
    rank, status, why = said.integer("rank"), said.integer("status"), said.raw("why")
    if rank is None or status is None or not 0 <= rank < NODES_MAX or not 0 <= status <= 255:
        return None
    return RankEnd(rank, End(status, Why.read(why) if isinstance(why, str) else None))


def names_of(paths: SpoolPaths) -> list[Claim]:
    """The gangs that have a directory, by the claims of rank 0; some of them, where there are more than a thousand.

    Raises:
        OSError: they could not be listed.
    """
    try:
        parsed = map(parse_claim, listing(paths.gangs))
    except FileNotFoundError:
        return []
    return sorted(
        (one[0] for one in parsed if one is not None and one[1] is None),
        key=lambda claim: (claim.priority, claim.task_id, claim.number, claim.token),
    )[:GANGS_MAX]


def _claims_in(directory: str) -> dict[str, End | None]:
    try:
        parsed = [one for one in map(parse_claim, listing(directory)[: 4 * NODES_MAX]) if one is not None]
    except FileNotFoundError:
        return {}
    # A listing that is made during a rename may show both names.
    ended = {claim_name(claim): end for claim, end in parsed if end is not None}
    return {claim_name(claim): None for claim, end in parsed if end is None} | ended


class Gangs:
    """Reads the directories of gangs, and remembers what never changes in them; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, uids: frozenset[int] | None) -> None:
        """Know nothing yet.

        Args:
            paths: of the spool.
            uids: whose word counts; None: anybody's, for people who only look.
        """
        self._paths = paths
        self._uids = uids
        self._parts: dict[str, Part] = {}
        self._ranks: dict[str, Ranks] = {}

    def look(self, claim: Claim, *, marks: bool = False) -> Seen:
        """One gang.

        Args:
            claim: of rank 0.
            marks: also when its files were touched last.

        Raises:
            OSError: it could not be looked at: nothing is known.
        """
        directory, name = self._paths.gang(claim), claim_name(claim)
        # The one file first: who is listed as a member after "go" was, and is none of it, came too late.
        try:
            names = listing(directory)
        except FileNotFoundError:
            return Seen(claim, Stage.UNKNOWN)
        stage = stage_of(names)
        offers, members = _claims_in(self._paths.gang_offers(claim)), _claims_in(self._paths.gang_members(claim))
        caller = self._part(name, f"{directory}/{stage.value}") if stage is not Stage.UNKNOWN else None
        parts = {
            one: part
            for among, place in ((offers, OFFERS), (members, MEMBERS))
            for one, end in among.items()
            if (part := self._part(one, f"{directory}/{place}/{_as_it_stands(one, end)}")) is not None
        }
        ranks = self._read_ranks(claim) if stage in (Stage.GO, Stage.OFF) else None
        found: dict[str, Mark] = {}
        if marks:
            places = {"": f"{directory}/{stage.value}"} if stage is not Stage.UNKNOWN else {}
            places |= {one: f"{directory}/{OFFERS}/{one}" for one, end in offers.items() if end is None}
            for one, end in members.items():
                if end in (None, GIVEN_UP):
                    places[one] = f"{directory}/{MEMBERS}/{_as_it_stands(one, end)}"
            found = {one: mark for one, path in places.items() if (mark := files.mark_of(path)) is not None}
        ends = self._end(f"{directory}/{END}") if END in names else None
        return Seen(claim, stage, offers, members, caller or Part(), parts, ranks, ends, WARNED in names, found)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget what is known of gangs that are gone.

        Args:
            names: of the claims that are still to be seen anywhere.
        """
        self._parts = {name: one for name, one in self._parts.items() if name in names}
        self._ranks = {name: one for name, one in self._ranks.items() if name in names}

    def _end(self, path: str) -> RankEnd | None:
        try:
            return parse_end(files.read_json(path, self._uids))
        except files.FileProblem:
            return None

    def _part(self, name: str, path: str) -> Part | None:
        known = self._parts.get(name)
        if known is None:
            try:
                known = parse_part(files.read_json(path, self._uids))
            except files.FileProblem:
                return None
            self._parts[name] = known
        return known

    def _read_ranks(self, claim: Claim) -> Ranks | None:
        known = self._ranks.get(claim_name(claim))
        if known is None:
            known = read_ranks(self._paths, claim, self._uids)
            if known is not None:
                self._ranks[claim_name(claim)] = known
        return known


def _as_it_stands(name: str, end: End | None) -> str:
    parsed = parse_claim(name)
    return name if end is None or parsed is None else ended_name(parsed[0], end)


# -- steps ----------------------------------------------------------------------------------------------------------


def _content(part: Part) -> bytes:
    return files.encode_json({"protocol": PROTOCOL, **_encoded(part)})


def call(paths: SpoolPaths, claim: Claim, part: Part) -> None:
    """Begin to put a gang together.

    Args:
        paths: of the spool.
        claim: that rank 0 is going to have.
        part: what our own node brings.

    Raises:
        OSError: it could not be written.
    """
    for directory in (paths.gangs, paths.gang(claim), paths.gang_offers(claim), paths.gang_members(claim)):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        files.hand_over(directory, paths.root)
    growing.append(f"{paths.gang_members(claim)}/{KEEPER}", b"")
    files.write_whole(f"{paths.gang(claim)}/{Stage.CALL.value}", _content(part))


def offer(paths: SpoolPaths, claim: Claim, member: Claim, part: Part) -> None:
    """Hold a node's GPUs ready.

    Args:
        paths: of the spool.
        claim: of rank 0.
        member: the claim that this rank is going to have.
        part: what the node brings.

    Raises:
        OSError: it could not be written; or there is no such gang.
    """
    files.write_whole(f"{paths.gang_offers(claim)}/{claim_name(member)}", _content(part))


def accept(paths: SpoolPaths, claim: Claim, member: Claim) -> Moved:
    """Make an offer a member's claim: the right of whoever calls."""
    return _move(paths, claim, f"{OFFERS}/{claim_name(member)}", f"{MEMBERS}/{claim_name(member)}")


def withdraw(paths: SpoolPaths, claim: Claim, member: Claim, end: End) -> Moved:
    """Hold nothing ready any more: LOST where it has become a member's claim."""
    return _move(paths, claim, f"{OFFERS}/{claim_name(member)}", f"{OFFERS}/{ended_name(member, end)}")


def end_member(paths: SpoolPaths, claim: Claim, member: Claim, end: End) -> Moved:
    """Say how a rank has ended: its own node does, or whoever may not wait for it any longer."""
    return _move(paths, claim, f"{MEMBERS}/{claim_name(member)}", f"{MEMBERS}/{ended_name(member, end)}")


def begin(paths: SpoolPaths, claim: Claim, ranks: Ranks) -> Moved:
    """Have a gang run: the right of whoever called, and has the task's claim.

    Raises:
        OSError: it could not be written who has which rank.
    """
    said = [{"rank": one.rank, "claim": one.claim, "part": _encoded(one.part)} for one in ranks.ranks]
    value = {"protocol": PROTOCOL, "address": ranks.address, "port": ranks.port, "ranks": said}
    files.write_whole(paths.gang_ranks(claim), files.encode_json(value))
    return _move(paths, claim, Stage.CALL.value, Stage.GO.value)


def note_end(paths: SpoolPaths, claim: Claim, by: RankEnd) -> None:
    """Say by which rank a gang comes to its end, unless somebody has said so.

    Raises:
        OSError: it could not be written.
    """
    said = {"rank": by.rank, "status": by.end.status, "why": by.end.why.value if by.end.why else None}
    files.write_once(f"{paths.gang(claim)}/{END}", files.encode_json({"protocol": PROTOCOL, **said}))


def note_warned(paths: SpoolPaths, claim: Claim) -> None:
    """Say that a rank was told that its end is near.

    Raises:
        OSError: it could not be written.
    """
    growing.append(f"{paths.gang(claim)}/{WARNED}", b"")


def end(paths: SpoolPaths, claim: Claim, before: Stage) -> Moved:
    """Have a gang end: from ``call`` anybody may, from ``go`` whoever has the task's claim, or finds that nobody has.

    Args:
        paths: of the spool.
        claim: of rank 0.
        before: what it is, as far as is known.
    """
    return _move(paths, claim, before.value, Stage.OFF.value)


def _move(paths: SpoolPaths, claim: Claim, before: str, after: str) -> Moved:
    directory = paths.gang(claim)
    moved = move(f"{directory}/{before}", f"{directory}/{after}").moved
    if moved is Moved.UNKNOWN and claim not in names_of(paths):
        return Moved.LOST  # somebody has removed it all
    return moved


def held_at(paths: SpoolPaths, claim: Claim, member: Claim | None) -> tuple[str, ...]:
    """Where a call, or what one node holds ready, may be: touched there, it gives a sign of life."""
    if member is None:
        return (f"{paths.gang(claim)}/{Stage.CALL.value}",)
    return f"{paths.gang_offers(claim)}/{claim_name(member)}", paths.gang_member(claim, member)


def remove(paths: SpoolPaths, claim: Claim) -> bool:
    """Remove the directory of a gang that is over; whether it is gone."""
    directory = paths.gang(claim)
    for below in (paths.gang_offers(claim), paths.gang_members(claim), directory):
        try:
            for name in listing(below):
                if below != directory or name not in (OFFERS, MEMBERS):
                    files.remove(f"{below}/{name}")
            os.rmdir(below)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
