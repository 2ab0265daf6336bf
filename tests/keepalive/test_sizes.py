"""Sizes: the documented ones, and a goal that leaves room for others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.sizes import TRIPLES, matrix_size, memory_goal_bytes, triple_bytes

MIB = 1 << 20
GIB = 1 << 30


@pytest.mark.parametrize(("gib", "size"), [(24, 14336), (48, 20480), (80, 26624)])
def test_the_documented_sizes_are_given(gib: int, size: int) -> None:
    assert matrix_size(gib * GIB) == size


@pytest.mark.parametrize(
    ("total_mib", "size"),
    [
        (15360, 11264),
        (23028, 13312),
        (24564, 14336),
        (46068, 19456),
        (49140, 20480),
        (81559, 26624),
        (81920, 26624),
        (143771, 34816),
    ],
)
def test_totals_as_drivers_report_them_give_the_same_family(total_mib: int, size: int) -> None:
    assert matrix_size(total_mib * MIB) == size


@given(st.integers(0, 1 << 40), st.floats(0, 1))
def test_a_size_is_a_multiple_of_1024_and_its_twelve_triples_stay_within_the_share(
    total: int, fraction: float
) -> None:
    size = matrix_size(total, fraction)
    assert size >= 1024
    assert size % 1024 == 0
    assert size == 1024 or TRIPLES * triple_bytes(size) <= fraction * total


@pytest.mark.parametrize("total_mib", [15360, 24564, 46068, 81559, 143771])
def test_twelve_triples_of_a_real_card_come_close_to_its_share(total_mib: int) -> None:
    total = total_mib * MIB
    assert 0.52 * total <= TRIPLES * triple_bytes(matrix_size(total)) <= 0.6 * total


@pytest.mark.parametrize(
    ("free_gib", "goal_gib"), [(80, 48), (50, 48), (40, 38), (2, 0), (1, 0), (0, 0)], ids=lambda gib: f"{gib}G"
)
def test_the_goal_leaves_the_reserve_free(free_gib: int, goal_gib: int) -> None:
    assert memory_goal_bytes(80 * GIB, free_gib * GIB, 0.6, 2 * GIB) == goal_gib * GIB


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.floats(0, 1), st.integers(0, 1 << 40))
def test_the_goal_is_never_negative_nor_more_than_its_bounds(
    total: int, free: int, fraction: float, reserve: int
) -> None:
    goal = memory_goal_bytes(total, free, fraction, reserve)
    assert 0 <= goal <= fraction * total
    assert goal == 0 or goal + reserve <= free
