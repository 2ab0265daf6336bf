"""What readings of a card come to: shares, percentiles, edges, watts.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOW_PERCENT, HIGH_PERCENT = 70, 85
IN_BAND_FOR_S = 3.0
"""So long without a break in the band is settled."""


@dataclass(frozen=True)
class Reading:
    """A card at one moment; None: it did not tell."""

    at_s: float
    """Monotonic."""
    utilization_percent: int | None
    used_bytes: int | None
    power_w: float | None
    energy_j: float | None


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so large a share of all does not exceed (nearest rank).

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("a percentile of nothing")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def spread_ms(values_s: Sequence[float]) -> dict[str, float]:
    """Median and tail of durations, in milliseconds; how many there were tells what the tail is worth."""
    return {
        "count": len(values_s),
        "p50_ms": round(percentile(values_s, 0.5) * 1000, 2),
        "p99_ms": round(percentile(values_s, 0.99) * 1000, 2),
        "max_ms": round(max(values_s) * 1000, 2),
    }


def spread_us(values_s: Sequence[float]) -> dict[str, float]:
    """The same of calls, in microseconds."""
    return {
        "count": len(values_s),
        "p50_us": round(percentile(values_s, 0.5) * 1e6, 1),
        "p99_us": round(percentile(values_s, 0.99) * 1e6, 1),
    }


def is_in_band(reading: Reading) -> bool:
    """Whether the utilisation is known, and within the band."""
    percent = reading.utilization_percent
    return percent is not None and LOW_PERCENT <= percent <= HIGH_PERCENT


def known_percents(readings: Sequence[Reading]) -> list[int]:
    """The utilisations that were told."""
    return [one.utilization_percent for one in readings if one.utilization_percent is not None]


def share_in_band(readings: Sequence[Reading]) -> float | None:
    """Percent of the readings that lie in the band; one that failed does not.  None: there are none."""
    return 100 * sum(map(is_in_band, readings)) / len(readings) if readings else None


def settled_at(readings: Sequence[Reading], for_s: float = IN_BAND_FOR_S) -> float | None:
    """When the utilisation came into the band and stayed for so long; None: it did not, as far as was looked."""
    since: float | None = None
    for one in readings:
        if not is_in_band(one):
            since = None
        elif since is None:
            since = one.at_s
        if since is not None and one.at_s - since >= for_s:
            return since
    return None


def mean_w(readings: Sequence[Reading]) -> float | None:
    """Mean power: of the energy counter, which misses nothing, else of the samples.  None: neither is there."""
    energies = [(one.at_s, one.energy_j) for one in readings if one.energy_j is not None]
    if len(energies) > 1 and energies[-1][1] > energies[0][1]:  # one that stands still counts nothing
        (first_s, first_j), (last_s, last_j) = energies[0], energies[-1]
        return (last_j - first_j) / (last_s - first_s)
    powers = [one.power_w for one in readings if one.power_w is not None]
    return sum(powers) / len(powers) if powers else None


@dataclass(frozen=True)
class Edge:
    """How the gauge follows a load that goes on, or off, at once; seconds after it did."""

    first_change_s: float
    arrived_s: float
    """At the value on which it stays."""


def edge(readings: Sequence[Reading], changed_at: float) -> Edge | None:
    """Read an edge off; None: the gauge did not move, or did not tell.

    Args:
        readings: from before the change until the gauge stands still.
        changed_at: when the load changed.
    """
    known = [
        (one.at_s - changed_at, one.utilization_percent) for one in readings if one.utilization_percent is not None
    ]
    before = [percent for at_s, percent in known if at_s <= 0]
    after = [(at_s, percent) for at_s, percent in known if at_s > 0]
    if not before or not after or abs(after[-1][1] - before[-1]) < 10:
        return None
    start, end = before[-1], after[-1][1]
    moved = [at_s for at_s, percent in after if abs(percent - start) > 2]
    on_the_way = [at_s for at_s, percent in after if abs(percent - end) > 2]
    arrived = next((at_s for at_s, _ in after if not on_the_way or at_s > on_the_way[-1]), after[-1][0])
    return Edge(moved[0], arrived)


def rate_per_s(marks: Sequence[tuple[float, int]], begin_s: float, end_s: float) -> float | None:
    """How fast a counter grew within a stretch of time; None: fewer than two marks lie in it.

    Args:
        marks: a moment (monotonic) and what was counted up to it.
        begin_s: from when on.
        end_s: until when.
    """
    inside = [mark for mark in marks if begin_s <= mark[0] <= end_s]
    if len(inside) < 2 or inside[-1][0] <= inside[0][0]:
        return None
    return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])


def slower_percent(alone_per_s: float | None, beside_per_s: float | None) -> float | None:
    """How much slower the second rate is; below 0: faster.  None: one of them is not known."""
    if not alone_per_s or beside_per_s is None:
        return None
    return round(100 * (1 - beside_per_s / alone_per_s), 2)
