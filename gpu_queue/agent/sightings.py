"""What looks at gangs have found, and for how long what stands still."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_queue.node.gangs import GangLook
from gpu_queue.scheduling.gangs import Gang, Node, Terms
from gpu_queue.spool.gangs import Mark, Ranks, Seen

GAP_S = 60.0
MISSING_S = 2.0
"""A rank is gone when two listings so far apart lack its claim: one may be made during a rename."""


class Sightings:
    """All that one agent has seen of gangs."""

    def __init__(self) -> None:
        self.gangs: tuple[Gang, ...] = ()
        self.nodes: tuple[Node, ...] | None = None
        """The other nodes that take tasks; None: not known, for nothing waits for them."""
        self._seen: Mapping[str, Seen] = {}
        self._by_name: Mapping[str, Gang] = {}
        self._still: dict[tuple[str, str], tuple[Mark, float]] = {}
        """By gang and claim: the last mark, and since when it is known to stand still."""
        self._unclaimed_at: dict[str, float] = {}
        self._missing_at: dict[tuple[str, str], float] = {}
        """By gang and claim: since when listings lack a rank, which may be being renamed."""
        self._thorough_at = float("-inf")

    def gang(self, name: str) -> Gang | None:
        """One, by the name of its claim, as the last look found it."""
        return self._by_name.get(name)

    def ranks(self, name: str) -> Ranks | None:
        """Who has which rank in it."""
        seen = self._seen.get(name)
        return seen.ranks if seen is not None else None

    def take(self, look: GangLook, now: float, terms: Terms) -> None:
        """Know what a look has found.

        Args:
            look: the look.
            now: monotonic seconds.
            terms: how long what must stand still.
        """
        if look.claimed is not None:
            # What was not watched all the time is not known to have stood still.
            gap_s = max(min(GAP_S, terms.takeover_after_s / 3), terms.unclaimed_after_s * 2)
            if max(now - look.began_at, look.began_at - self._thorough_at) > gap_s:
                self._still, self._unclaimed_at = {}, {}
            self._thorough_at = now
            marks = {(one.name, claim): mark for one in look.seen for claim, mark in one.marks.items()}
            self._still = {
                key: before if (before := self._still.get(key)) is not None and before[0] == mark else (mark, now)
                for key, mark in marks.items()
            }
            nowhere = {one.name for one in look.seen} - look.claimed
            self._unclaimed_at = {name: self._unclaimed_at.get(name, now) for name in nowhere}
        elif not look.seen:
            self._still, self._unclaimed_at = {}, {}
        if look.serving is not None:
            self.nodes = tuple(Node(one.memory_bytes, one.left_s) for one in look.serving)
        missing = {
            (one.name, rank.claim)
            for one in look.seen
            if one.ranks is not None
            for rank in one.ranks.ranks[1:]
            if rank.claim not in one.members
        }
        self._missing_at = {key: self._missing_at.get(key, look.began_at) for key in missing}
        self._seen = {one.name: one for one in look.seen}
        found = tuple(self._gang(one, look.began_at) for one in look.seen)
        self._by_name = {one.name: one for one in found}
        self.gangs = found

    def _gang(self, one: Seen, now: float) -> Gang:
        before = self._by_name.get(one.name)
        members = dict(one.members)
        for (name, claim), since in self._missing_at.items():
            if name == one.name and now - since < MISSING_S:
                members[claim] = before.members.get(claim) if before is not None else None
        still_s = {
            claim: self._thorough_at - since for (name, claim), (_, since) in self._still.items() if name == one.name
        }
        unclaimed_at = self._unclaimed_at.get(one.name)
        nodes = {name: part.node for name, part in one.parts.items()}
        return Gang(
            one.name,
            one.claim.priority,
            one.claim.task_id,
            one.stage,
            one.caller.node,
            {name: nodes[name] for name, end in one.offers.items() if end is None and name in nodes},
            members,
            {name: nodes[name] for name in members if name in nodes},
            tuple(rank.claim for rank in one.ranks.ranks) if one.ranks is not None else (),
            one.end,
            one.is_warned,
            still_s,
            0.0 if unclaimed_at is None else self._thorough_at - unclaimed_at,
        )
