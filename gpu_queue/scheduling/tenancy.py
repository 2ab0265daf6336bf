"""Who else is on the cards of a server that several people share.  Pure.

- Three signs tell of a stranger: a process of another user; memory that came or went and that nobody of this user
  explains (in a container other people's processes are not seen); and utilisation, which the policy judges.
- A card is judged by its last ``SAMPLES`` readings.  NVML's utilisation is a mean over a sixth of a second to a
  second, so readings closer than ``EVERY_S`` show the same work twice.  Eight of them look back two to three seconds,
  which bridges the gaps between steps of a training and the loading of its data, and no stranger is missed for them.
  Where nothing waits, cards are read once a second, and the same eight look back eight seconds: a task that comes to
  a quiet server starts at once.
- Whoever was there a moment ago is still there: a stranger has gone when ``SAMPLES`` readings have come since he was
  found to be missing, and up to ``PATIENCE`` more, by lot: agents of several users that wait for the same card must
  not all take it at the same moment.
- What a task of ours did to a card says nothing of others: when it ends, all begins anew.  A card on which less
  memory is used than any process takes is given at once then: nothing can be at work on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from gpu_queue.sharing import Sharing

SAMPLES = 8
PATIENCE = 4
EVERY_S = 0.25
APART_S = 0.2
"""Readings that are closer together are one: those who ask are never punctual."""
WINDOW_S = 10.0
"""What is older says nothing any more."""
CHANGED_BYTES = 64 << 20
"""The smallest context of CUDA takes more; what drivers need for themselves changes by less."""
SETTLES_S = 2.0
"""After a task of ours the driver's utilisation, with its window and lag, shows for so long what was ours."""
GOES_S = 0.5
"""And so long its memory may take to go, after its processes have."""
_NEVER = float("-inf")


@dataclass(frozen=True)
class Tenant:
    """A process that uses a card."""

    pid: int
    start_ticks: int
    """With the pid it is this process and no other; 0: it is hidden from us, as others' may be."""
    name: str
    uid: int | None
    """None: it is hidden, and so not ours."""
    used_bytes: int | None = None
    """Of the card's memory; None: the driver does not tell."""
    claim: str | None = None
    """The name of the try that it belongs to, of any agent of this user; None: none, or it is not this user's."""
    is_python: bool = False
    is_filler: bool = False
    """It keeps the card busy for an agent of this user."""


ByCard = Mapping[str, tuple[Tenant, ...]]
"""By UUID of the card.  A card that is not in it could not be asked."""


@dataclass(frozen=True)
class Look:
    """What one look at all cards has shown."""

    began_at: float
    ended_at: float
    tenants: ByCard | None
    """None: who is there cannot be told."""
    problem: str = ""
    """For people: why it cannot."""


class Named(Protocol):
    """A card, as people name it."""

    @property
    def index(self) -> int:
        """In the node's list."""

    @property
    def uuid(self) -> str:
        """What it is keyed by."""


C = TypeVar("C", bound=Named)


@dataclass(frozen=True)
class Competing:
    """Which cards tasks may have at all."""

    competed: tuple[str, ...]
    """UUIDs, in the order of the list."""
    left: tuple[str, ...]
    """UUIDs of the last ones of that list, which stay for others."""
    unknown: tuple[str, ...] = ()
    """Entries of ``compete_gpus`` that name no served card."""


def competing(served: Sequence[C], sharing: Sharing) -> Competing:
    """Which of the served cards are competed for.

    Args:
        served: them, in the order of the node.
        sharing: what the owner wants.
    """
    chosen: list[str] = []
    unknown: list[str] = []
    if sharing.use_all_gpus or not sharing.compete_gpus:
        chosen = [card.uuid for card in served]
    else:
        for entry in sharing.compete_gpus:
            found = _matches(served, entry.strip())
            if len(found) != 1:
                unknown.append(entry)
            elif found[0].uuid not in chosen:
                chosen.append(found[0].uuid)
    kept = 0 if sharing.gpu_left.of_free else min(sharing.gpu_left.cards, len(chosen))
    cut = len(chosen) - kept
    return Competing(tuple(chosen[:cut]), tuple(chosen[cut:]), tuple(unknown))


def _matches(served: Iterable[C], entry: str) -> list[C]:
    if entry.isascii() and entry.isdigit():
        return [card for card in served if card.index == int(entry)]
    if not entry.startswith(("GPU-", "MIG-")):
        return []
    return [card for card in served if card.uuid == entry] or [card for card in served if card.uuid.startswith(entry)]


def user_pythons(tenants: Iterable[Tenant], uid: int) -> tuple[Tenant, ...]:
    """The Python processes of a user that belong to no task of any of his agents."""
    return tuple(
        one for one in tenants if one.uid == uid and one.is_python and one.claim is None and not one.is_filler
    )


def left_behind(tenants: Iterable[Tenant], uid: int) -> bool:
    """Whether a Python of a user's task is there; on a card that no task has it is of one that nobody looks after."""
    return any(one.uid == uid and one.is_python and one.claim is not None for one in tenants)


def strangers(tenants: Iterable[Tenant], uid: int) -> tuple[Tenant, ...]:
    """The processes of everybody but a user."""
    return tuple(one for one in tenants if one.uid != uid)


@dataclass
class Watched:
    """What is remembered of one card."""

    uid: int
    """Ours."""
    draw: Callable[[], int] = lambda: 0
    """Draws how many readings more to wait for, from 0 to ``PATIENCE``."""
    _samples: deque[tuple[float, int | None]] = field(default_factory=lambda: deque(maxlen=SAMPLES + PATIENCE))
    """When it was read, and its utilisation."""
    _memory: tuple[float, int] | None = None
    """When it was read, and what was used of it, at least ``APART_S`` before the next one that it is held against."""
    _used: tuple[float, int] | None = None
    """The same at the last reading."""
    _is_there: bool = False
    """The last look that could tell has found a stranger."""
    _has_python: bool = False
    """And a Python process of this user that is no task's."""
    _untold_bytes: int | None = None
    """What was used when it could no longer be told who is there, though somebody was; None: it can be told."""
    _was_there_at: float = _NEVER
    """When one was there, or may have been, for the last time."""
    _changed_at: float = _NEVER
    """When memory last came or went that nothing has explained."""
    _open_at: float = float("inf")
    """Since when there is something that no look has told of."""
    _patience: int = 0
    _ours_until: float = _NEVER
    """When a task of ours left it."""
    _had_own: bool = False
    """A process of ours was there at the last look, which may have taken its memory along."""

    def add(self, at: float, utilization_percent: int | None) -> None:
        """Take a reading of a card that no task of ours holds, if it is not of the same moment as the last one.

        Args:
            at: when it was read; never earlier than the last one.
            utilization_percent: None: it does not tell.
        """
        is_ours = at < self._ours_until + SETTLES_S
        if not is_ours and (not self._samples or at - self._samples[-1][0] >= APART_S):
            self._samples.append((at, utilization_percent))

    def add_memory(self, at: float, used_bytes: int) -> None:
        """Take a reading of the memory of a card that no task of ours holds, however soon it comes.

        Args:
            at: when it was read; never earlier than the last one.
            used_bytes: of the whole card.
        """
        if at < self._ours_until:
            return
        self._used = at, used_bytes
        if self._untold_bytes is not None:
            self._fade(at, used_bytes, self._untold_bytes)
        before_at, before_bytes = self._memory or (_NEVER, 0)
        came_bytes = used_bytes - before_bytes
        is_ours = came_bytes < 0 and at < self._ours_until + GOES_S  # it goes with our task
        if self._memory is None and came_bytes >= CHANGED_BYTES:
            self._open_at = at
        if at - before_at <= WINDOW_S and abs(came_bytes) >= CHANGED_BYTES and not is_ours:
            self._changed_at, self._open_at, self._patience = at, at, self.draw()
        elif at - before_at < APART_S:
            return
        self._memory = at, used_bytes

    def see(self, look: Look, tenants: Sequence[Tenant] | None) -> None:
        """Take a look.

        Args:
            look: when it was.
            tenants: who is on this card; None: it cannot be told.
        """
        if tenants is None:
            if (self._is_there or self._has_python) and self._untold_bytes is None:
                # A driver that hangs for a while makes nobody leave: who was there stays until his memory goes.
                self._untold_bytes = self._used[1] if self._used is not None else 0
            self._had_own = False
            self._open_at = float("inf")
            return
        self._untold_bytes = None
        self._has_python = bool(user_pythons(tenants, self.uid))
        is_there, has_own = bool(strangers(tenants, self.uid)), any(one.uid == self.uid for one in tenants)
        if is_there or self._is_there:  # he may have left just now
            self._was_there_at, self._patience = look.ended_at, self.draw()
        elif self.wants_look(look.began_at) and (has_own or self._had_own):
            self._changed_at = _NEVER
        if self.wants_look(look.began_at):
            self._open_at = float("inf")
        self._is_there, self._had_own = is_there, has_own

    def _fade(self, at: float, used_bytes: int, untold_bytes: int) -> None:
        """Whoever was there when it could no longer be told has gone when his memory has."""
        if used_bytes >= CHANGED_BYTES and untold_bytes - used_bytes < CHANGED_BYTES:
            self._untold_bytes = max(used_bytes, untold_bytes)
            return
        if self._is_there:
            self._was_there_at, self._patience = at, self.draw()
        self._untold_bytes, self._is_there, self._has_python = None, False, False

    def begin_anew(self, now: float) -> None:
        """Forget what was read: it was of a task of ours, which has just ended."""
        self._ours_until = now
        self._samples.clear()
        self._memory = self._used = None
        self._changed_at, self._open_at = _NEVER, float("inf")

    def is_settling(self, now: float) -> bool:
        """Whether a task of ours has left it so short a time ago that its readings need not tell of others yet."""
        return now - self._ours_until <= WINDOW_S

    def wants_look(self, at: float) -> bool:
        """Whether there was something by then that no look has told of: memory that came, went, or was not ours."""
        return self._open_at <= at

    def is_complete(self, now: float) -> bool:
        """Whether there are enough readings to judge by: the last ones, or one that finds nobody there."""
        return self._is_full(now) or self._is_empty(now)

    def utilization(self, now: float) -> tuple[int, ...]:
        """In percent, of the last readings that are not too old, oldest first; of a card that is empty, zero."""
        if self._is_empty(now) and not self._is_full(now):
            return (0,)
        return tuple(percent for at, percent in self._last if percent is not None and now - at <= WINDOW_S)

    def _is_full(self, now: float) -> bool:
        last = self._last
        return len(last) == SAMPLES and now - last[0][0] <= WINDOW_S

    @property
    def _last(self) -> list[tuple[float, int | None]]:
        return list(self._samples)[-SAMPLES:]

    def _is_empty(self, now: float) -> bool:
        """Whether there is less memory in use than one process would take: then nothing can be at work."""
        return self._used is not None and now - self._used[0] <= WINDOW_S and self._used[1] < CHANGED_BYTES

    @property
    def keeps_python(self) -> bool:
        """Whether this user's Python was there when it could last be told, and nothing says that it has gone."""
        return self._has_python

    def was_ours(self, at: float) -> bool:
        """Whether processes of a task of ours may have been there at that moment, which had just ended."""
        return at < self._ours_until + GOES_S

    def has_stranger(self, now: float) -> bool:
        """Whether somebody else was there within the last readings."""
        last_at = max(self._was_there_at, self._changed_at)
        since = sum(at > last_at for at, _ in self._samples)
        return self._is_there or (now - last_at <= WINDOW_S and since < SAMPLES + self._patience)
