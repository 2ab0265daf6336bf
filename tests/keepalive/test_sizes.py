"""Sizes: the documented ones, what fills the goal, and a halving that ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.sizes import (
    TRIPLES,
    divide,
    goal_after_out_of_memory,
    matrix_size,
    memory_goal_bytes,
    tile_size,
    triple_bytes,
)

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
def test_a_full_goal_is_twelve_triples_and_a_rest_that_fill_it(total_mib: int) -> None:
    total = total_mib * MIB
    goal = memory_goal_bytes(total, total, 0.6, 2 * GIB)
    held = divide(goal, matrix_size(total))
    assert goal == int(0.6 * total)
    assert held.triples == TRIPLES
    assert sum(held.block_bytes) == goal
    assert 12 * triple_bytes(held.size) >= 0.52 * total


@given(st.integers(0, 1 << 42), st.integers(1, 40).map(lambda n: 1024 * n))
def test_blocks_sum_up_to_the_goal_largest_first(goal: int, size: int) -> None:
    blocks = divide(goal, size).block_bytes
    assert sum(blocks) == goal
    assert list(blocks) == sorted(blocks, reverse=True)
    assert all(block > 0 for block in blocks)


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


@given(st.integers(0, 1 << 42))
def test_halving_after_out_of_memory_ends(goal: int) -> None:
    goals: list[int] = []
    following: int | None = goal
    while following is not None:
        goals.append(following)
        assert len(goals) < 20
        following = goal_after_out_of_memory(following)
    assert goals[-1] == 0
    assert all(later <= earlier // 2 for earlier, later in pairwise(goals))
    assert all(later == 0 or later >= 256 * MIB for later in goals[1:])


@pytest.mark.parametrize(
    ("measured", "kernel_ms", "tile"),
    [(8192, 1.0, 16384), (8192, 8.0, 8192), (8192, 0.1, 26624), (8192, 64.0, 4096), (1024, 80.0, 1024)],
)
def test_a_tile_is_chosen_by_time_within_its_bounds(measured: int, kernel_ms: float, tile: int) -> None:
    assert tile_size(measured, kernel_ms / 1000, 0.008, 26624) == tile


def test_a_tile_is_never_chosen_from_a_time_that_was_not_measured() -> None:
    with pytest.raises(ValueError, match="above 0"):
        tile_size(1024, 0.0, 0.008, 26624)


@given(st.floats(1e-6, 1.0), st.integers(1, 30).map(lambda n: 1024 * n))
def test_a_chosen_tile_is_expected_within_the_time_unless_it_is_the_smallest(kernel_s: float, largest: int) -> None:
    tile = tile_size(4096, kernel_s, 0.008, largest)
    assert 1024 <= tile <= largest
    assert tile == 1024 or kernel_s * (tile / 4096) ** 3 <= 0.008 * 1.0001
