"""One file that others rewrite in place, without a lock: read, replaced, and looked at again.

- Whoever opens a file for writing before we replace it writes into the file that was replaced, which no name leads to
  any more.  So that one stays open here for a while, and what is written into it is found (`late`).
- Somebody who writes in place shows half a file for a moment.  Only one that stands still as it is is damaged.
- What cannot be seen: a replacement by another node (or by another user's agent) between our last look and our own,
  which loses what it had written; and a write into a replaced file from another machine, or later than `KEPT_S`.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpu_queue.spool import files, store, uni_ids
from gpu_queue.spool.paths import damaged, is_damaged

KEPT_S = 5.0
"""So long a file that was replaced is looked at for late writes; what was found there, stays for as long."""
KEPT_MAX = 128
STANDS_S = 1.0
"""So long the times of a file must be the same until it is taken as read: they may be no finer than its writers."""
DAMAGED_AFTER_S = 2.0
DAMAGED_MAX = 10
"""So many damaged files are kept, the newest."""
LEFTOVER_S = 600.0
"""A dot-file of ours that is older was left by an agent that was killed."""
_LEFTOVER = re.compile(r"\.(.+)\.[0-9a-f]{12}", re.ASCII)
_MISSING = object()

Stamp = tuple[int, int, int, int]


class NotNow(Exception):
    """Somebody is writing it: ask again soon."""


@dataclass
class _Replaced:
    """A file that we have replaced, still open."""

    descriptor: int
    found: Mapping[str, Any]
    """What stood in it when it was."""
    at: float
    seen: Stamp | None = None


@dataclass
class _Late:
    """What somebody wrote into a replaced file."""

    before: object
    """What stood there when it was replaced."""
    value: object
    until: float


@dataclass
class Watched:
    """One file."""

    path: str
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    held: dict[str, Any] = field(default_factory=dict)
    """What stood in it when it was read last."""
    found: dict[str, Any] = field(default_factory=dict)
    """The same, with what somebody wrote into a file that had been replaced."""
    agreed: dict[str, Any] = field(default_factory=dict)
    """What it held when it was in order last."""
    reads: int = 0
    """How often it was found otherwise than before."""
    is_missing: bool = True
    was_damaged: bool = False
    """It was set aside since somebody cleared this."""
    _stamp: Stamp | None = None
    _stamp_since: float = 0.0
    _read_at: float = 0.0
    _permissions: int = 0
    _descriptor: int = -1
    _bad: tuple[Stamp, float] | None = None
    _replaced: list[_Replaced] = field(default_factory=list)
    _late: dict[str, _Late] = field(default_factory=dict)

    def read(self) -> None:
        """Read it, if it may have changed.

        Raises:
            NotNow: it is half written, or damaged and not yet set aside.
            FileProblem: it is no file of ours: it is left alone.
            OSError: the storage failed.
        """
        now = self.clock()
        if not self._is_as_read():
            self._read(now)
        self._look_late(now)
        found = dict(self.held) if self._late else self.held
        for name, one in self._late.items():
            if self.held.get(name, _MISSING) == one.before:  # else somebody has written a later one
                found[name] = one.value
        if found != self.found:
            self.reads += 1
        self.found = found

    def late_of(self, name: str) -> object:
        """What somebody wrote late under this name; None: nothing."""
        return self._late[name].value if name in self._late else None

    def _is_as_read(self) -> bool:
        stands = self._stamp is not None and self._read_at - self._stamp_since >= STANDS_S
        try:
            return stands and _stamp_of(os.lstat(self.path)) == self._stamp
        except FileNotFoundError:
            return False

    def _read(self, now: float) -> None:
        try:
            with files.opened(self.path, self._owners()) as (descriptor, facts):
                stamp = _stamp_of(facts)
                try:
                    if facts.st_size > uni_ids.MAX_BYTES:
                        raise files.FileProblem(f"it has {facts.st_size >> 20} MiB")
                    found = uni_ids.decode(files.read_all(descriptor, uni_ids.MAX_BYTES, 0))
                except files.FileProblem as problem:
                    self._suspect(stamp, str(problem), now)
                    return
                if _stamp_of(os.fstat(descriptor)) != stamp:
                    raise NotNow(f"{self.path} is being written")
                self._keep(os.dup(descriptor))
        except files.Vanished:
            self._keep(-1)
            self._stamp, self.held, self.is_missing, self._bad = None, {}, True, None
            return
        if stamp != self._stamp:
            self._stamp, self._stamp_since = stamp, now
        self._read_at, self._bad, self.is_missing = now, None, False
        self._permissions = stat.S_IMODE(facts.st_mode)
        self.held = found

    def _owners(self) -> frozenset[int]:
        own = os.geteuid()  # what root makes is given to the owner of the directory (files.hand_over)
        return frozenset({own, os.stat(os.path.dirname(self.path)).st_uid} if own == 0 else {own})

    def _keep(self, descriptor: int) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor

    def _suspect(self, stamp: Stamp, problem: str, now: float) -> None:
        """It cannot be read: somebody is in the midst of writing it, or it is damaged and stands still."""
        if self._bad is None or self._bad[0] != stamp:
            self._bad = stamp, now
        if now - self._bad[1] < DAMAGED_AFTER_S:
            raise NotNow(f"{self.path}: {problem}")
        aside = damaged(self.path, time.time())
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        moved = store.move(self.path, aside)
        if moved.moved is not store.Moved.WON:
            os.close(descriptor)
            raise moved.error or OSError(f"{self.path} could not be set aside")
        self._replaced.append(_Replaced(descriptor, {}, now, stamp))
        self._keep(-1)
        self._bad, self._stamp, self.held, self.is_missing, self.was_damaged = None, None, {}, True, True
        self.say(f"{self.path}: {problem}; it was set aside as {os.path.basename(aside)} and is written anew")
        self._tidy_damaged()

    def _tidy_damaged(self) -> None:
        directory, own = os.path.split(self.path)
        names = sorted(name for name in store.listing(directory) if is_damaged(name, own))
        for name in names[:-DAMAGED_MAX]:
            files.remove(f"{directory}/{name}")

    def replace(self, value: dict[str, Any]) -> bool:
        """Put this in its place, unless somebody has written since it was read.

        Returns:
            False: somebody has; read it again.

        Raises:
            FileProblem: it would be too large, or cannot be written as JSON.
            OSError: it could not be written.
        """
        content = uni_ids.encode(value)
        try:
            there = _stamp_of(os.lstat(self.path))
        except FileNotFoundError:
            there = None
        if there != (None if self.is_missing else self._stamp):
            self._stamp = None
            return False
        if self.is_missing:
            files.write_once(self.path, content)  # gives way to one that somebody has made since
            self._stamp = None
            return True
        files.write_whole(self.path, content, self._permissions)
        now = self.clock()
        if self._descriptor >= 0:
            # Looked at once more whatever its times say: they may be no finer than its writers.
            self._replaced.append(_Replaced(self._descriptor, self.held, now))
            self._descriptor = -1
        while len(self._replaced) > KEPT_MAX:
            os.close(self._replaced.pop(0).descriptor)
        self._stamp, self.held, self.agreed = None, value, value
        return True

    def _look_late(self, now: float) -> None:
        self._late = {name: one for name, one in self._late.items() if now < one.until}
        for one in self._replaced:
            try:
                facts = os.fstat(one.descriptor)
                if _stamp_of(facts, is_named=False) == one.seen:
                    continue
                found = uni_ids.decode(files.read_all(one.descriptor, uni_ids.MAX_BYTES, 0))
            except (files.FileProblem, OSError):
                continue  # it is being written, and the next look shows it; or its server has forgotten it (NFS)
            one.seen = _stamp_of(facts, is_named=False)
            for name, value in found.items():
                if one.found.get(name, _MISSING) != value:
                    self._late[name] = _Late(one.found.get(name, _MISSING), value, now + KEPT_S)
            one.found = found
        for one in [one for one in self._replaced if now - one.at >= KEPT_S]:
            self._replaced.remove(one)
            os.close(one.descriptor)

    @property
    def is_watching(self) -> bool:
        """Whether a file that was replaced is still looked at, or one that is half written."""
        return bool(self._replaced or self._bad)

    def close(self) -> None:
        """Look at nothing any more."""
        self._keep(-1)
        while self._replaced:
            os.close(self._replaced.pop().descriptor)

    def tidy(self, now_s: float) -> None:
        """Remove what agents that were killed have left beside it.

        Args:
            now_s: epoch seconds.
        """
        directory, own = os.path.split(self.path)
        for name in store.listing(directory):
            match = _LEFTOVER.fullmatch(name)
            if match is None or match[1] != own:
                continue
            facts = os.lstat(f"{directory}/{name}")
            if stat.S_ISREG(facts.st_mode) and now_s - facts.st_mtime > LEFTOVER_S:
                files.remove(f"{directory}/{name}")


def _stamp_of(facts: os.stat_result, *, is_named: bool = True) -> Stamp:
    # To lose its name changes a file's ctime.
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns if is_named else 0
