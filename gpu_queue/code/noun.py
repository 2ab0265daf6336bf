"""Which code a task was submitted with.  Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """The code that a task was submitted with (docs/snapshots.md)."""

    commit: str = ""
    """Of the working tree, in hex; empty: it is no git repository, or git did not tell in time."""
    is_dirty: bool = False
    """It was something else than that commit."""
    snapshot: str = ""
    """The key of a snapshot, in a copy of which the task runs; empty: it runs in its directory."""
    root: str = ""
    """The tree of which that is, at its submitter's; as all below only where there is a snapshot."""
    cwd: str = ""
    """Where the task runs, from the top of the tree; empty: there."""
    script: str = ""
    """Where its script lies in the tree; empty: elsewhere."""
    ignored: tuple[str, ...] = ()
    """Directories of the tree that git ignores, from its top: in a copy links lead to them, where they still are."""

    @property
    def told(self) -> str:
        """For people: ``commit 1a2b3c4d5e6f, changed since; snapshot 0123456789ab of /home/a/p``."""
        changed = ", changed since" if self.is_dirty else ""
        parts = [f"commit {self.commit[:12]}{changed}"] if self.commit else []
        parts += [f"snapshot {self.snapshot[:12]} of {self.root}"] if self.snapshot else []
        return "; ".join(parts)
