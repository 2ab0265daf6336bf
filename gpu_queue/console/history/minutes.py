"""Readings of GPUs, put together by minute: the least, the mean, the most.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gpu_queue.spool.pages import GpuPage

QUANTITIES = ("utilization_percent", "memory_used_bytes", "power_w", "temperature_c")
MINUTE_S = 60
GPUS_MAX = 1024


class Told(NamedTuple):
    """A quantity in a minute."""

    least: float
    mean: float
    most: float


@dataclass
class _Sum:
    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)

    def told(self) -> Told | None:
        return Told(self.least, self.total / self.count, self.most) if self.count else None


class Minute(NamedTuple):
    """One GPU in a minute."""

    gpu: str
    """``<node>/<uuid>``."""
    at_s: int
    """Its beginning, in epoch seconds."""
    readings: int
    told: tuple[Told | None, ...]
    """In the order of ``QUANTITIES``; None: nobody told it."""


@dataclass
class _Open:
    count: int = 0
    sums: tuple[_Sum, ...] = field(default_factory=lambda: tuple(_Sum() for _ in QUANTITIES))


class Minutes:
    """Takes readings, and gives whole minutes."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], _Open] = {}

    def add(self, gpu: str, at_s: float, page: GpuPage) -> None:
        """One reading.

        Args:
            gpu: ``<node>/<uuid>``.
            at_s: when it was made, in epoch seconds.
            page: what was told.
        """
        key = int(at_s // MINUTE_S) * MINUTE_S, gpu
        if key not in self._open and len(self._open) >= 4 * GPUS_MAX:
            return
        minute = self._open.setdefault(key, _Open())
        minute.count += 1
        for quantity, one in zip(QUANTITIES, minute.sums, strict=True):
            value = getattr(page, quantity)
            if value is not None and abs(value) < 1e15:
                one.add(float(value))

    def take(self, until_s: float) -> list[Minute]:
        """The minutes that are over.

        Args:
            until_s: those that began a minute before that, or earlier; ``inf``: all.
        """
        over = sorted(key for key in self._open if key[0] + MINUTE_S <= until_s)
        return [
            Minute(gpu, at_s, one.count, tuple(part.told() for part in one.sums))
            for at_s, gpu in over
            for one in [self._open.pop((at_s, gpu))]
        ]


def steps(from_s: float, to_s: float, step_s: float | None, grain_s: int, points_max: int) -> tuple[int, int, int]:
    """The grid on which a range is told: its first beginning, its step and how many there are.

    Args:
        from_s: of the range, in epoch seconds.
        to_s: its end, later than that.
        step_s: that is wished for; None: as many as a picture needs.
        grain_s: of what is known.
        points_max: how many at most.
    """
    least_s = (to_s - from_s) / (points_max - 1)
    wished_s = max(least_s, (to_s - from_s) / 500 if step_s is None else step_s, grain_s)
    step = grain_s * -int(-wished_s // grain_s)
    first = int(from_s // step) * step
    return first, step, max(1, -int(-(to_s - first) // step))


def on_grid(
    rows: Iterable[tuple[int, tuple[float | None, ...]]], first: int, step: int, count: int
) -> Iterator[list[float | None]]:
    """Rows of values by their beginnings, as a list for each column, with None where there is no row."""
    by_place = {(at - first) // step: values for at, values in rows}
    width = 3 * len(QUANTITIES)
    for column in range(width):
        yield [None if (row := by_place.get(place)) is None else row[column] for place in range(count)]
