"""Who else is on the cards of a server that several people share.  Pure.

- Three signs tell of a stranger: a process of another user; memory that came or went and that nobody of this user
  explains (in a container other people's processes are not seen); and utilisation, which the policy judges.
- A card is judged by its last ``SAMPLES`` readings.  NVML's utilisation is a mean over a sixth of a second to a
  second, so readings closer than ``EVERY_S`` show the same work twice.  Eight of them look back two to three seconds,
  which bridges the gaps between steps of a training and the loading of its data, and no stranger is missed for them.
  Where nothing waits, cards are read once a second, and the same eight look back eight seconds: a task that comes to
  a quiet server starts at once.
- Whoever was there a moment ago is still there: a stranger has gone when ``SAMPLES`` readings have come since he was
  found to be missing.
- What a task of ours did to a card says nothing of others: when it ends, all begins anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from gpu_queue.sharing import Sharing

SAMPLES = 8
EVERY_S = 0.25
APART_S = 0.2
"""Readings that are closer together are one: those who ask are never punctual."""
WINDOW_S = 10.0
"""What is older says nothing any more."""
CHANGED_BYTES = 64 << 20
"""The smallest context of CUDA takes more; what drivers need for themselves changes by less."""
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


Tenants = Mapping[str, tuple[Tenant, ...]]
"""By UUID of the card.  A card that is not in it could not be asked."""


@dataclass(frozen=True)
class Look:
    """What one look at all cards has shown."""

    began_at: float
    ended_at: float
    tenants: Tenants | None
    """None: who is there cannot be told."""
    problem: str = ""
    """For people: why it cannot."""


@dataclass(frozen=True)
class Sample:
    """One reading of a card."""

    at: float
    used_bytes: int | None
    utilization_percent: int | None


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


def strangers(tenants: Iterable[Tenant], uid: int) -> tuple[Tenant, ...]:
    """The processes of everybody but a user."""
    return tuple(one for one in tenants if one.uid != uid)


@dataclass
class Watched:
    """What is remembered of one card."""

    uid: int
    """Ours."""
    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _is_there: bool = False
    """The last look has found a stranger."""
    _was_there_at: float = _NEVER
    """When one was there, or may have been, for the last time."""
    _changed_at: float = _NEVER
    """When memory last came or went that nothing has explained."""
    _is_judged: bool = True
    """A look has been since."""
    _had_own: bool = False
    """A process of ours was there at the last look, which may have taken its memory along."""

    def add(self, sample: Sample) -> bool:
        """Take a reading of a card that no task of ours holds; returns whether it was a new one.

        Readings come in order.  What comes too soon after the last one is not taken.
        """
        before = self._samples[-1] if self._samples else None
        if before is not None and sample.at - before.at < APART_S:
            return False
        if before is not None and sample.at - before.at <= WINDOW_S and _has_changed(before, sample):
            self._changed_at, self._is_judged = sample.at, False
        self._samples.append(sample)
        return True

    def see(self, look: Look, tenants: Sequence[Tenant] | None) -> None:
        """Take a look.

        Args:
            look: when it was.
            tenants: who is on this card; None: it cannot be told.
        """
        if tenants is None:
            self._is_there = self._had_own = False
            return
        is_there, has_own = bool(strangers(tenants, self.uid)), any(one.uid == self.uid for one in tenants)
        if is_there or self._is_there:  # he may have left just now
            self._was_there_at = look.ended_at
        elif self.wants_look(look.began_at) and (has_own or self._had_own):
            self._changed_at = _NEVER
        if self.wants_look(look.began_at):
            self._is_judged = True
        self._is_there, self._had_own = is_there, has_own

    def begin_anew(self) -> None:
        """Forget what was read: it was ours."""
        self._samples.clear()
        self._changed_at, self._is_judged = _NEVER, True

    def wants_look(self, at: float) -> bool:
        """Whether memory came or went by then and no look has told whose it was."""
        return not self._is_judged and self._changed_at <= at

    def is_complete(self, now: float) -> bool:
        """Whether there are enough readings to judge by."""
        return len(self._samples) == SAMPLES and now - self._samples[0].at <= WINDOW_S

    def utilization(self, now: float) -> tuple[int, ...]:
        """In percent, of the last readings that are not too old, oldest first."""
        return tuple(
            sample.utilization_percent
            for sample in self._samples
            if sample.utilization_percent is not None and now - sample.at <= WINDOW_S
        )

    def has_stranger(self, now: float) -> bool:
        """Whether somebody else was there within the last readings."""
        last_at = max(self._was_there_at, self._changed_at)
        since = sum(sample.at > last_at for sample in self._samples)
        return self._is_there or (now - last_at <= WINDOW_S and since < SAMPLES)


def _has_changed(before: Sample, after: Sample) -> bool:
    if before.used_bytes is None or after.used_bytes is None:
        return False
    return abs(after.used_bytes - before.used_bytes) >= CHANGED_BYTES
