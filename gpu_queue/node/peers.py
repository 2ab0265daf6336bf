"""The other nodes of a spool: what they show of themselves, and what is done with the things of a dead one.

- A look tells marks (inode and mtime) of node files and claims; whether they mean death is decided elsewhere
  (``scheduling.watch``).  Files are opened, not looked up: on NFS an open asks the server, a ``stat`` may not.
- A look begins with a write of our own: where that fails, or hangs, the look proves nothing.
- Taking over is one rename into our own directory, where the claim bears the end of its try in its name: from there
  it goes on like any ended try of ours, whatever dies in between.
- Only nodes whose file is old, or missing, have their claims looked at: of living peers a look costs one open each.
- Of those that have tries the file is read, once for each mark: it names the batch job in which their agent ran.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gpu_queue.spool import files, growing
from gpu_queue.spool.events import EventLog
from gpu_queue.spool.pages import PAGE_MAX_BYTES, read_allocation
from gpu_queue.spool.paths import SpoolPaths, claim_name, ended_name, parse_claim
from gpu_queue.spool.store import Moved, listing, move
from gpu_queue.task import Claim, End
from gpu_queue.texts import printable

GONE_KEPT_S = 30 * 24 * 3600
KEPT = ("json", "tsv")
"""The endings of a node's files."""
WHO_BYTES = 300

Mark = tuple[int, int]
"""Inode and mtime: it changes with every sign of life."""


@dataclass(frozen=True)
class PeerClaim:
    """A claim in another node's directory."""

    claim: Claim
    end: End | None
    """What its name says of its end."""
    mark: Mark


@dataclass(frozen=True)
class PeerSeen:
    """Another node."""

    beat: Mark | None
    """None: it has no node file."""
    age_s: float | None
    """How old that file is by the server's clock."""
    claims: Mapping[str, PeerClaim] | None
    """By name; None: not looked at."""
    is_bare: bool
    """Its directory was looked at, and holds nothing; or it has none."""
    forgotten_by: str = ""
    """The person who said that it is dead."""
    allocation: str = ""
    """The batch job with whose end all its tries end, by the file that ``beat`` is the mark of; empty: none is."""


class PeerFiles:
    """Looks at the other nodes, and takes things over; lives in the storage thread."""

    def __init__(self, paths: SpoolPaths, node: str, events: EventLog, uids: frozenset[int]) -> None:
        """See nothing yet.

        Args:
            paths: the spool.
            node: our own.
            events: what is taken over, or put away, is told there.
            uids: whose node files name batch jobs.
        """
        self._paths = paths
        self._node = node
        self._events = events
        self._uids = uids
        self._allocations: dict[str, tuple[Mark, str]] = {}
        """By node: what its file said, and the file's mark."""

    def look(self, old_after_s: float, is_suspect: Callable[[str], bool], cluster: str = "") -> dict[str, PeerSeen]:
        """All other nodes.

        Args:
            old_after_s: a node file that is older by the server's clock is a reason to look at the node's claims.
            is_suspect: other nodes whose claims are to be looked at.
            cluster: of which their batch jobs must be, to be of interest.

        Raises:
            OSError: something could not be written or read: nothing is known.
        """
        keeper = self._paths.running_keeper(self._node)
        os.utime(keeper)
        server_now = os.stat(keeper).st_mtime
        names = {name.removesuffix(".json") for name in listing(self._paths.nodes) if name.endswith(".json")}
        names |= set(listing(self._paths.all_running))
        found = {}
        for node in sorted(names - {self._node}):
            if node.startswith("."):
                continue
            beat = files.mark_of(self._paths.node_json(node))
            age_s = None if beat is None else server_now - beat[1] / 1e9
            if age_s is not None and age_s <= old_after_s and not is_suspect(node):
                found[node] = PeerSeen(beat, age_s, None, is_bare=False)
                continue
            seen = self._look_inside(node, beat, age_s, cluster)
            if seen is not None:
                found[node] = seen
        self._allocations = {node: one for node, one in self._allocations.items() if node in found}
        return found

    def _look_inside(self, node: str, beat: Mark | None, age_s: float | None, cluster: str) -> PeerSeen | None:
        directory = self._paths.running(node)
        try:
            names = listing(directory)
        except FileNotFoundError:
            return None if beat is None else PeerSeen(beat, age_s, {}, is_bare=True)
        except NotADirectoryError:
            return None
        claims = {}
        for name in names:
            parsed = parse_claim(name)
            mark = files.mark_of(f"{directory}/{name}") if parsed is not None else None
            if parsed is not None and mark is not None:
                claims[name] = PeerClaim(*parsed, mark)
        who = self._forgotten_by(node) if beat is None and claims else ""
        allocation = self._allocation(node, beat, cluster) if beat is not None and claims else ""
        return PeerSeen(beat, age_s, claims, is_bare=set(names) <= {"node"}, forgotten_by=who, allocation=allocation)

    def _allocation(self, node: str, beat: Mark, cluster: str) -> str:
        known = self._allocations.get(node)
        if known is None or known[0] != beat:
            try:
                content, facts = files.read_regular(self._paths.node_json(node), PAGE_MAX_BYTES + 1, self._uids)
                told = read_allocation(files.decode_json(content), cluster) if len(content) <= PAGE_MAX_BYTES else ""
            except files.FileProblem:
                return ""
            # What was opened may be a newer one than that of the mark: the next look knows it.
            known = self._allocations[node] = (facts.st_ino, facts.st_mtime_ns), told
        return known[1] if known[0] == beat else ""

    def _forgotten_by(self, node: str) -> str:
        try:
            content, _ = files.read_regular(self._paths.forgotten(node), WHO_BYTES)
        except files.FileProblem:
            return ""
        return printable(content.decode("utf-8", "replace").strip())

    def take_over(self, node: str, one: PeerClaim, end: End, beat: Mark | None, *, is_proven: bool = False) -> Moved:
        """Take a claim of a dead node, as one whose try has ended.

        Args:
            node: whose it is.
            one: the claim.
            end: how its try ended; where its name says so, that stays.
            beat: the mark of the node's file by which it was judged.
            is_proven: death is proven; no mark needs to be compared.

        Returns:
            WON, LOST where it is not there or gave a sign of life meanwhile, UNKNOWN.
        """
        name = claim_name(one.claim) if one.end is None else ended_name(one.claim, one.end)
        source = f"{self._paths.running(node)}/{name}"
        try:
            if not is_proven and (
                files.mark_of(self._paths.node_json(node)) != beat or files.mark_of(source) != one.mark
            ):
                return Moved.LOST
        except OSError:
            return Moved.UNKNOWN
        # Its token is its own, and so is our directory: nobody else renames to this name.
        moved = move(source, f"{self._paths.running(self._node)}/{ended_name(one.claim, one.end or end)}").moved
        if moved is Moved.WON:
            self._events.add(one.claim, ("taken over", time.time(), {"node": node}))
        return moved

    def retire(self, node: str, beat: Mark | None) -> bool:
        """Put a dead node's files away; whether it is done.

        Should the node live after all it makes its directory and its file again.

        Raises:
            OSError: the storage failed; ask again later.
        """
        if files.mark_of(self._paths.node_json(node)) != beat:
            return False
        directory = self._paths.running(node)
        try:
            if not set(listing(directory)) <= {"node"}:
                return False
            try:
                os.unlink(self._paths.running_keeper(node))
            except FileNotFoundError:
                pass
            os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError:
            if "node" not in listing(directory):
                growing.append(self._paths.running_keeper(node), b"")  # something has come into it meanwhile
            return False
        os.makedirs(self._paths.gone, mode=0o700, exist_ok=True)  # somebody may have removed it alone
        # The JSON last: by it a node is there, and whoever dies in between leaves it to the next.
        for path in (self._paths.node_lines(node), self._paths.node_json(node)):
            move(path, f"{self._paths.gone}/{os.path.basename(path)}")
        self._events.add(None, ("retired", time.time(), {"node": node}))
        return True

    def sweep(self, server_now: float) -> None:
        """Remove what was put away, or left over, a month ago by the server's clock.

        Left over in nodes/ is what belongs to no JSON there: dot-files of the dead, pages of earlier versions.
        """
        try:
            there, gone = listing(self._paths.nodes), listing(self._paths.gone)
        except OSError:
            return  # another time
        kept = {name.removesuffix("json") + ending for name in there if name.endswith(".json") for ending in KEPT}
        paths = [f"{self._paths.nodes}/{name}" for name in there if name not in kept]
        for path in (*paths, *(f"{self._paths.gone}/{name}" for name in gone)):
            try:
                facts = os.lstat(path)
                if server_now - facts.st_ctime > GONE_KEPT_S and not stat.S_ISDIR(facts.st_mode):
                    os.unlink(path)
            except OSError:
                continue
