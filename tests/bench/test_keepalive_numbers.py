"""What the GPU report makes of its readings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keepalive_numbers import (
    Edge,
    Reading,
    edge,
    mean_w,
    percentile,
    rate_per_s,
    settled_at,
    share_in_band,
    slower_percent,
    spread_ms,
    spread_us,
)


def readings(percent_at: Callable[[float], int | None], seconds: float, begin_s: float = 0.0) -> list[Reading]:
    """Ten a second."""
    moments = [begin_s + number / 10 for number in range(round(seconds * 10) + 1)]
    return [Reading(at_s, percent_at(at_s), 0, None, None) for at_s in moments]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_the_tail_of_a_few_is_their_largest() -> None:
    assert percentile([3.0, 9.0, 4.0], 0.99) == 9.0
    assert spread_ms([0.003, 0.009, 0.004]) == {"count": 3, "p50_ms": 4.0, "p99_ms": 9.0, "max_ms": 9.0}
    with pytest.raises(ValueError, match="of nothing"):
        percentile([], 0.5)


def test_calls_are_told_in_microseconds() -> None:
    assert spread_us([3e-6, 9.04e-6, 4e-6]) == {"count": 3, "p50_us": 4.0, "p99_us": 9.0}


def test_the_edges_of_the_band_are_in_it_and_what_failed_is_not() -> None:
    told = [69, 70, 77, 85, 86, None]
    assert share_in_band([Reading(0.0, percent, 0, None, None) for percent in told]) == 50.0
    assert share_in_band([]) is None


def test_settled_is_when_it_came_in_to_stay() -> None:
    assert settled_at(readings(lambda at_s: 78 if at_s >= 2 else 10, 6)) == 2.0


def test_a_touch_of_the_band_is_not_settled() -> None:
    assert settled_at(readings(lambda at_s: 78 if at_s % 2 < 1.5 else 60, 20)) is None
    assert settled_at(readings(lambda _: 78, 2.5)) is None
    assert settled_at(readings(lambda at_s: 78 if at_s != 1 else None, 6)) == pytest.approx(1.1)


def test_power_is_of_the_energy_counter_and_else_of_the_samples() -> None:
    counted = [Reading(float(second), 0, 0, 999.0, 1000.0 + 150.0 * second) for second in range(5)]
    assert mean_w(counted) == pytest.approx(150.0)
    stuck = [Reading(float(second), 0, 0, 300.0, 1000.0) for second in range(5)]
    assert mean_w(stuck) == 300.0
    sampled = [Reading(float(second), 0, 0, power_w, None) for second, power_w in enumerate((100.0, 200.0))]
    assert mean_w(sampled) == 150.0
    assert mean_w(readings(lambda _: 0, 1)) is None


def ramp(begin_s: float, end_s: float, start: int, end: int) -> Callable[[float], int]:
    def percent(at_s: float) -> int:
        part = min(1.0, max(0.0, (at_s - begin_s) / (end_s - begin_s)))
        return round(start + part * (end - start))

    return percent


def is_edge(found: Edge | None, first_change_s: float, arrived_s: float) -> bool:
    assert found is not None
    return (found.first_change_s, found.arrived_s) == pytest.approx((first_change_s, arrived_s))


@pytest.mark.parametrize(("start", "end"), [(0, 100), (100, 0)])
def test_an_edge_tells_when_the_gauge_moved_and_when_it_arrived(start: int, end: int) -> None:
    found = edge(readings(ramp(1.2, 2.0, start, end), 4), changed_at=1.0)
    assert is_edge(found, 0.3, 1.0)


def test_a_gauge_that_jumps_arrives_as_it_moves() -> None:
    found = edge(readings(lambda at_s: 100 if at_s > 1.45 else 0, 4), changed_at=1.0)
    assert is_edge(found, 0.5, 0.5)


def test_a_gauge_that_stands_still_or_is_silent_has_no_edge() -> None:
    assert edge(readings(lambda _: 40, 4), changed_at=1.0) is None
    assert edge(readings(lambda _: None, 4), changed_at=1.0) is None
    assert edge([], changed_at=1.0) is None


def test_a_rate_is_of_the_marks_within() -> None:
    marks = [(number / 10, number * 7) for number in range(100)]
    assert rate_per_s(marks, 2.0, 4.0) == pytest.approx(70.0)
    assert rate_per_s(marks, 2.01, 2.05) is None


@pytest.mark.parametrize(
    ("alone", "beside", "slower"), [(200.0, 100.0, 50.0), (200.0, 210.0, -5.0), (None, 1.0, None), (2.0, None, None)]
)
def test_slower_is_a_share_of_what_it_was_alone(
    alone: float | None, beside: float | None, slower: float | None
) -> None:
    assert slower_percent(alone, beside) == slower
