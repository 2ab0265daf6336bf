"""What all parts of the report share: where, how much, and what a program makes of the card alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keepalive_card import Card
from keepalive_numbers import Reading, known_percents, mean_w, rate_per_s
from keepalive_others import Foreground
from keepalive_rig import Nursery

AIM = 0.775
LONG_S = 600.0
"""A lease that outlasts what is done under it."""
COLD_S = 25.0
"""As long as is waited for the band at most."""
Values = dict[str, Any]
"""What a part has measured.  It is filled as the part goes on: what was measured before an interruption counts."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    band_s: float
    pauses: int
    backs: int
    """Starts that are only yielded again, beside those whose settling is watched."""
    watts_s: float
    edges: int
    edge_s: float
    """After a change of the load: more than the gauge may look back, which is up to a second."""
    drops: int
    hold_s: float
    """The card is held for so long before somebody comes."""
    loop_s: float
    calls: int
    """Of each of NVML's functions."""
    starts_s: tuple[float, ...]
    """Moments after the start of a worker at which a task wants its card."""
    beside_s: float
    awaits_return: bool
    """Until the filler has come back after somebody else: more than a minute."""


FULL = Sizes(
    band_s=70.0, pauses=100, backs=3, watts_s=3.5, edges=2, edge_s=2.5, drops=3, hold_s=3.0, loop_s=4.0,
    calls=300, starts_s=(0.1, 0.3, 0.6, 1.0) * 2, beside_s=5.0, awaits_return=True,
)  # fmt: skip
QUICK = Sizes(
    band_s=3.0, pauses=10, backs=1, watts_s=0.5, edges=1, edge_s=1.2, drops=1, hold_s=0.8, loop_s=1.0,
    calls=20, starts_s=(0.0, 0.6), beside_s=1.5, awaits_return=False,
)  # fmt: skip


@dataclass(frozen=True)
class Alone:
    """A program that has the card to itself."""

    per_s: float | None
    """Products."""
    start_s: float | None
    """From its first call to CUDA to its first product."""
    used_bytes: int
    """Its context and matrices."""


@dataclass
class Bench:
    """What all parts share."""

    base: Path
    card: Card
    sizes: Sizes
    stack: ExitStack
    notes: list[str] = field(default_factory=list)
    """Of the part that runs: why a number is missing."""
    _nursery: Nursery | None = None
    _alone: Alone | None = None

    @property
    def nursery(self) -> Nursery:
        """One zygote for all that is told by hand."""
        if self._nursery is None:
            self._nursery = Nursery(self.card)
            self.stack.callback(self.drop_nursery)
        return self._nursery

    def drop_nursery(self) -> None:
        """After a failure its channel may be in the middle of a word: the next part gets a new one."""
        if self._nursery is not None:
            nursery, self._nursery = self._nursery, None
            nursery.close()

    def spared(self) -> list[int]:
        """Processes that live from part to part."""
        return [] if self._nursery is None else [self._nursery.pid]

    def directory(self, name: str) -> Path:
        made = self.base / name
        made.mkdir(exist_ok=True)
        return made

    @property
    def alone(self) -> Alone:
        """Measured once; the card must be empty when it is asked for first."""
        if self._alone is None:
            card, seconds = self.card, self.sizes.loop_s / 2
            with closing(Foreground(card, goes=True)) as program:
                context_at = program.wait_context()
                used_bytes = card.used_bytes - card.baseline_bytes
                time.sleep(0.3 + seconds)  # clocks rise first
                program.listen()
                per_s = rate_per_s(program.marks, context_at + 0.3, time.monotonic())
                self._alone = Alone(per_s, program.start_s, used_bytes)
            card.wait_empty()
        return self._alone


def loop(program: Foreground, seconds: float, meanwhile: Callable[[], object]) -> float | None:
    """How many products a second a program makes that waits for a word."""
    begun_s = program.say("go")
    while time.monotonic() < begun_s + seconds:
        meanwhile()
        time.sleep(0.02)
    ended_s = program.say("stop")
    program.listen()
    return rate_per_s(program.marks, begun_s + 0.1, ended_s)


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    begun_s = time.perf_counter()
    call()
    return time.perf_counter() - begun_s


def mean_percent(readings: list[Reading]) -> float | None:
    known = known_percents(readings)
    return round(statistics.mean(known), 1) if known else None


def mean_watts(readings: list[Reading]) -> float | None:
    watts = mean_w(readings)
    return None if watts is None else round(watts, 1)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def in_ms(value_s: float | None) -> float | None:
    return None if value_s is None else round(value_s * 1000, 1)
