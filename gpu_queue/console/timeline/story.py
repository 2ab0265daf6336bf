"""What the GPUs of one node were used for, from its history, event by event.  Pure; moments by that node's clock.

- ``started`` and ``settled`` or ``returned`` tell of tries to the second they began and ended; ``gpu`` tells of all
  else, and comes up to a second later.
- Where an agent was not there, nobody knows: from ``ended``, or from the last sign of one that was killed, to the
  next ``began``.  Tries may have gone on meanwhile, and their ends are told later.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gpu_queue.console.timeline.facts import Fact

INTERVALS_MAX = 5000
"""Of one GPU: what is older is forgotten."""
GPUS_MAX = 1024
LEFT_FOR = frozenset({"idle", "keepalive", "foreign"})
"""No try holds a GPU that is told to be used so."""
TRIES_MAX = 50_000
"""Of one node: titles and outcomes that are kept."""


class Interval(NamedTuple):
    """A part of a lane."""

    begin_s: float
    end_s: float | None
    """None: it goes on."""
    use: str
    claim: str = ""


@dataclass(slots=True)
class TryTold:
    """What was told of one try."""

    gpus: tuple[str, ...] = ()
    name: str = ""
    ended_s: float | None = None
    outcome: str = ""
    is_failure: bool = False


@dataclass
class GpuStory:
    """One GPU."""

    index: int | None = None
    since_s: float = float("inf")
    """Before that nothing is known."""
    past: list[Interval] = field(default_factory=list)
    """Uses that are over, in the order of their ends."""
    forgotten: int = 0
    """How many came before these."""
    use: Interval | None = None
    """That lasts, as far as ``gpu`` tells."""
    tries: dict[str, float] = field(default_factory=dict)
    """Of tries that were started on it and have not ended, since when."""
    left: dict[str, float] = field(default_factory=dict)
    """Of these, those that hold it no more, since when: their end is not told yet, or never is."""

    def add(self, begin_s: float, end_s: float, use: str, claim: str = "") -> None:
        """A use that is over."""
        if end_s > begin_s:
            self.past.append(Interval(begin_s, end_s, use, claim))
            if len(self.past) > INTERVALS_MAX:
                del self.past[: INTERVALS_MAX // 10]
                self.forgotten += INTERVALS_MAX // 10
                self.since_s = max(self.since_s, self.past[0].begin_s)


class NodeStory:
    """One node."""

    def __init__(self) -> None:
        self.gpus: dict[str, GpuStory] = {}
        self.tries: dict[str, TryTold] = {}
        """By the claim's name, in the order of their starts."""
        self._shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.last_s = float("-inf")
        """When something was told last."""
        self.is_served = True
        """An agent is there, as far as was told."""

    def add(self, fact: Fact) -> None:
        """The next event."""
        if fact.kind == "gpu":
            if fact.is_first:
                self._lose_sight(self.last_s, but=fact)
            self._use(fact)
        elif fact.kind == "started":
            self._start(fact)
        elif fact.kind in ("settled", "returned"):
            self._end(fact)
        else:
            last_s = fact.at_s if fact.kind == "ended" else fact.last_at_s
            self._lose_sight(max(self.last_s, last_s or self.last_s))
            self.is_served = fact.kind == "began"
        self.last_s = max(self.last_s, fact.at_s)

    def _gpu(self, uuid: str, at_s: float) -> GpuStory | None:
        gpu = self.gpus.get(uuid)
        if gpu is None:
            if len(self.gpus) >= GPUS_MAX:
                return None
            gpu = self.gpus[uuid] = GpuStory()
        gpu.since_s = min(gpu.since_s, at_s)
        return gpu

    def _try(self, claim: str) -> TryTold:
        told = self.tries.get(claim)
        if told is None:
            if len(self.tries) >= TRIES_MAX:
                del self.tries[next(iter(self.tries))]
            told = self.tries[claim] = TryTold()
        return told

    def _use(self, fact: Fact) -> None:
        gpu = self._gpu(fact.gpus[0], fact.at_s)
        if gpu is None:
            return
        gpu.index = fact.indices[0] if fact.indices else gpu.index
        self._close_use(gpu, fact.at_s)
        gpu.use = Interval(fact.at_s, None, fact.use, fact.claim if fact.use == "task" else "")
        if fact.use == "task":
            gpu.left.pop(fact.claim, None)
        elif fact.use in LEFT_FOR:
            gpu.left |= {claim: fact.at_s for claim in gpu.tries if claim not in gpu.left}

    def _close_use(self, gpu: GpuStory, at_s: float) -> None:
        use = gpu.use
        if use is not None and not (use.claim and self._is_told(gpu, use.claim)):
            gpu.add(use.begin_s, at_s, use.use, use.claim)
        gpu.use = None

    def _is_told(self, gpu: GpuStory, claim: str) -> bool:
        """Whether the events of a try tell of this use by themselves."""
        told = self.tries.get(claim)
        return claim in gpu.tries or (told is not None and bool(told.gpus))

    def _start(self, fact: Fact) -> None:
        told = self._try(fact.claim)
        if len(self._shared) > TRIES_MAX:
            self._shared.clear()
        told.gpus, told.name = self._shared.setdefault(fact.gpus, fact.gpus), sys.intern(fact.name)
        for position, uuid in enumerate(fact.gpus):
            gpu = self._gpu(uuid, fact.at_s)
            if gpu is not None:
                gpu.tries[fact.claim] = fact.at_s
                if gpu.index is None and position < len(fact.indices):
                    gpu.index = fact.indices[position]

    def _end(self, fact: Fact) -> None:
        told = self._try(fact.claim)
        told.ended_s, told.outcome, told.is_failure = fact.at_s, sys.intern(fact.outcome), fact.is_failure
        for uuid in told.gpus:
            gpu = self.gpus.get(uuid)
            if gpu is not None and fact.claim in gpu.tries:
                gpu.left.pop(fact.claim, None)
                gpu.add(gpu.tries.pop(fact.claim), fact.at_s, "task", fact.claim)

    def _lose_sight(self, last_s: float, but: Fact | None = None) -> None:
        """Nobody knows what became of the GPUs since then; of one of them alone where its agent has begun with it."""
        uuids = self.gpus if but is None else but.gpus
        for uuid in uuids:
            gpu = self.gpus.get(uuid)
            if gpu is not None and gpu.use is not None:
                self._close_use(gpu, max(last_s, gpu.use.begin_s))

    def lane_since(self, uuid: str, from_s: float, seen_s: float | None = None) -> list[Interval]:
        """The same as :meth:`lane`, without most of what was over before a moment."""
        past = self.gpus[uuid].past
        first = bisect_left(past, from_s, key=lambda one: one.end_s or 0.0)  # in the order of ends
        return [*past[first:], *self.going_on(uuid, seen_s)]

    def lane(self, uuid: str, seen_s: float | None = None) -> Iterator[Interval]:
        """All that is known of a GPU, in no strict order; uses may lie below tries.

        Args:
            uuid: the GPU.
            seen_s: by this node's clock: its agent is gone, and told of itself then for the last time; else None.
        """
        yield from self.gpus[uuid].past
        yield from self.going_on(uuid, seen_s)

    def going_on(self, uuid: str, seen_s: float | None = None) -> Iterator[Interval]:
        """Of that, what is not over, or not known to be.

        Args:
            uuid: the GPU.
            seen_s: as of :meth:`lane`.
        """
        gpu = self.gpus[uuid]
        ends_s = seen_s if seen_s is not None else None if self.is_served else self.last_s
        for claim, begin_s in gpu.tries.items():
            if claim in gpu.left:
                yield Interval(begin_s, gpu.left[claim], "task", claim)
        held = {claim: begin_s for claim, begin_s in gpu.tries.items() if claim not in gpu.left}
        open_ones = [Interval(begin_s, None, "task", claim) for claim, begin_s in held.items()]
        if gpu.use is not None and not (gpu.use.claim and self._is_told(gpu, gpu.use.claim)):
            open_ones.append(gpu.use)
        for one in open_ones:
            if ends_s is None:
                yield one
            elif ends_s > one.begin_s:
                yield one._replace(end_s=ends_s)
