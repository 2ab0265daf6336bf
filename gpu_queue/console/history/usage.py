"""What several GPUs did over time, put together from their samples; whose tasks they ran.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gpu_queue.console.history.store import HOURS, MINUTES, QUARTERS, SHIFTS, Level, Load

STEPS = (
    (60, MINUTES),
    (300, MINUTES),
    (900, QUARTERS),
    (1800, QUARTERS),
    (3600, HOURS),
    (7200, HOURS),
    (14400, SHIFTS),
    (86400, SHIFTS),
)
POINTS_MAX = 720
ROWS_MAX = 45_000
"""So many rows are read for a picture: a tenth of a second."""
LOW, HIGH = 0.1, 0.9


@dataclass(frozen=True)
class Raster:
    """The steps in which a range is told, and the level that they are read from."""

    first: int
    step: int
    count: int
    level: Level


def raster_of(from_s: float, to_s: float, gpus: int, now_s: float) -> Raster:
    """The finest one that is worth it: not more points than are seen, not more rows than are read at once.

    Args:
        from_s: of the range, in epoch seconds.
        to_s: its end, later than that.
        gpus: how many are told of.
        now_s: epoch seconds: what is old is kept coarser.
    """
    length_s = to_s - from_s
    usable = [
        (step, level)
        for step, level in STEPS
        if length_s / step <= POINTS_MAX
        and max(1, gpus) * length_s / level.step_s <= ROWS_MAX
        and from_s >= now_s - level.kept_s - step
    ]
    step, level = usable[0] if usable else STEPS[-1]
    first = int(from_s // step) * step
    return Raster(first, step, max(1, -int(-(to_s - first) // step)), level)


@dataclass(frozen=True)
class LoadSeries:
    """In each step, of all GPUs together; None: nothing was sampled."""

    mean_percent: list[float | None]
    low_percent: list[float | None]
    """A tenth of them was below; of one GPU the least."""
    high_percent: list[float | None]
    """A tenth of them was above; of one GPU the most."""
    power_w: list[float | None]
    """The sum of those that told it."""
    energy_j: float | None
    """Over the steps in which something was sampled."""


def load_series(loads: Iterable[Load], raster: Raster, *, is_one: bool) -> LoadSeries:
    """Put samples together.

    Args:
        loads: of all GPUs, in any order.
        raster: the steps.
        is_one: they are of one GPU: its least and most are told.
    """
    percents: list[list[float]] = [[] for _ in range(raster.count)]
    lows: list[list[float]] = [[] for _ in range(raster.count)]
    highs: list[list[float]] = [[] for _ in range(raster.count)]
    watts: list[dict[int, float]] = [{} for _ in range(raster.count)]
    first, step = raster.first, raster.step
    for at_s, least, mean, most, power_w in loads:
        place = (at_s - first) // step
        if not 0 <= place < raster.count:
            continue
        if mean is not None:
            percents[place].append(mean)
            if is_one:
                lows[place].append(mean if least is None else least)
                highs[place].append(mean if most is None else most)
        if power_w is not None:
            by_moment = watts[place]
            by_moment[at_s] = by_moment.get(at_s, 0.0) + power_w
    power = [sum(one.values()) / len(one) if one else None for one in watts]
    known = [sum(one.values()) for one in watts]
    return LoadSeries(
        [_rounded(sum(one) / len(one)) if one else None for one in percents],
        [_rounded(min(one)) if one else None for one in lows] if is_one else [_part(one, LOW) for one in percents],
        [_rounded(max(one)) if one else None for one in highs] if is_one else [_part(one, HIGH) for one in percents],
        [_rounded(one) for one in power],
        sum(known) * raster.level.step_s if any(watts) else None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _part(values: list[float], part: float) -> float | None:
    """The value below which that part of them lies."""
    if not values:
        return None
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (at - low) * (ordered[high] - ordered[low]), 1)


# -- whose


@dataclass
class Share:
    """What a user, a queue or a day had of the GPUs."""

    gpu_s: float = 0.0
    failed_gpu_s: float = 0.0
    """In tries that ended badly."""
    tries: int = 0
    tasks: set[str] = field(default_factory=set)

    def add(self, task_id: str, gpu_s: float, *, is_bad: bool) -> None:
        """One try."""
        self.gpu_s += gpu_s
        self.failed_gpu_s += gpu_s if is_bad else 0.0
        self.tries += 1
        self.tasks.add(task_id)


def days_of(from_s: float, to_s: float) -> list[float]:
    """When days begin by this machine's clock, from the one that holds ``from_s`` on."""
    day_s = datetime.fromtimestamp(from_s).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    found = []
    while day_s < to_s:
        found.append(day_s)
        day_s = day_after(day_s)
    return found


def day_after(day_s: float) -> float:
    """When the day after one begins that begins at ``day_s``; days of 23 and of 25 hours are days."""
    return (datetime.fromtimestamp(day_s) + timedelta(hours=26)).replace(hour=0).timestamp()


def day_name(at_s: float) -> str:
    """``2026-11-29``."""
    return datetime.fromtimestamp(at_s).date().isoformat()
