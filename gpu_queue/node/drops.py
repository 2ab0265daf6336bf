"""When a file that was dropped by hand is whole.  Pure: stat facts and a monotonic clock in, a reason out.

A copy over the network shows a size that stands still for many seconds while its writer lives (measured on NFS:
5-33 s), so standing still is trusted after a time that depends on the filesystem, and for longest where the content
itself looks unfinished.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SettleTimes:
    """How long a hand drop must stand still."""

    complete_s: float
    """It ends in a newline: 2 s on a local, 10 s on a network filesystem."""
    unfinished_s: float
    """It is empty or does not end in a newline: 60 s."""


@dataclass(frozen=True)
class DropFacts:
    """What a look at a dropped file told."""

    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    looks_complete: bool

    def same_content(self, inode: int, size_bytes: int, mtime_ns: int) -> bool:
        """Whether a file still is the one that settled (its ctime changes with every rename)."""
        return (self.inode, self.size_bytes, self.mtime_ns) == (inode, size_bytes, mtime_ns)


class DropTracker:
    """Watches the hand drops of one spool."""

    def __init__(self, times: SettleTimes) -> None:
        self._times = times
        self._seen: dict[str, tuple[DropFacts, float]] = {}
        self._closed: dict[str, DropFacts | None] = {}

    def closed(self, name: str) -> None:
        """A local event said that the writer of this file closed it."""
        self._closed[name] = None

    def forget_all_but(self, names: set[str]) -> None:
        """Drop what is no longer there."""
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        self._closed = {name: facts for name, facts in self._closed.items() if name in names}

    def look(self, name: str, facts: DropFacts, now: float) -> float:
        """Take a look into account; returns the seconds that are left until the file counts as whole."""
        before = self._seen.get(name)
        if before is None or before[0] != facts:
            self._seen[name] = (facts, now)
            since = now
        else:
            since = before[1]
        if name in self._closed and facts.size_bytes > 0:
            if self._closed[name] in (None, facts):
                self._closed[name] = facts
                return 0.0
            del self._closed[name]  # written again after it was closed
        needed = self._times.complete_s if facts.looks_complete else self._times.unfinished_s
        return max(0.0, since + needed - now)

    def settled_facts(self, name: str) -> DropFacts | None:
        """The facts that stood still, to compare with after the claim."""
        seen = self._seen.get(name)
        return seen[0] if seen else None
