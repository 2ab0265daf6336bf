"""Sizes: the documented ones, the largest that are fast enough, and a goal that leaves room for others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.protocol import WorkerSpec
from gpu_queue.keepalive.sizes import TRIPLES, choose_tile, largest_size, matrix_size, memory_goal_bytes

MIB = 1 << 20
GIB = 1 << 30
TILE_S = WorkerSpec("GPU-0", "matmul", 0, 0, 0).tile_s


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
    assert size == 1024 or TRIPLES * 6 * size**2 <= fraction * total


@pytest.mark.parametrize("total_mib", [15360, 24564, 46068, 81559, 143771])
def test_twelve_triples_of_a_real_card_come_close_to_its_share(total_mib: int) -> None:
    total = total_mib * MIB
    assert 0.52 * total <= TRIPLES * 6 * matrix_size(total) ** 2 <= 0.6 * total


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


class Speed:
    """A card that multiplies at a rate; large products somewhat better than small ones."""

    def __init__(self, tflop_per_s: float, room: int = 1 << 20):
        self.rate = tflop_per_s * 1e12
        self.room = room
        self.measured: list[int] = []

    def __call__(self, size: int) -> float:
        self.measured.append(size)
        if size > self.room:
            return math.inf
        return float(2 * size**3 / (self.rate * size / (size + 1500)))


@pytest.mark.parametrize("rate", [3, 65, 150, 260, 700, 2000])
@pytest.mark.parametrize("largest", [1024, 3072, 14336, 26624])
def test_the_tile_is_the_largest_that_takes_no_longer_than_allowed(rate: float, largest: int) -> None:
    speed = Speed(rate)
    tile = choose_tile(largest, TILE_S, speed)
    fitting = [size for size in range(1024, largest + 1, 1024) if Speed(rate)(size) <= TILE_S]
    assert tile == max(fitting, default=1024)
    assert len(speed.measured) == len(set(speed.measured)) <= 12


@pytest.mark.parametrize("rate", [0.05, 0.3, 3, 18, 65, 700])
def test_no_product_is_tried_that_could_last_longer_than_50_ms(rate: float) -> None:
    speed = Speed(rate)
    choose_tile(26624, TILE_S, speed)
    assert max(map(Speed(rate), speed.measured)) <= (0.05 if rate > 0.1 else 0.15)
    assert speed.measured[0] == 1024


def test_a_measurement_that_is_too_short_leads_no_further_than_twice_the_size() -> None:
    speed = Speed(3)
    tried = []

    def wrong_once(size: int) -> float:
        tried.append(size)
        return 1e-9 if len(tried) == 1 else speed(size)

    choose_tile(26624, TILE_S, wrong_once)
    assert max(tried) == 2048


@pytest.mark.parametrize(("room", "tile"), [(2048, 2048), (5000, 4096), (0, 1024)])
def test_a_tile_that_has_no_room_is_none(room: int, tile: int) -> None:
    speed = Speed(700, room)
    assert choose_tile(26624, TILE_S, speed) == tile
    assert len(speed.measured) < 30


@pytest.mark.parametrize(
    ("goal", "documented", "largest"),
    [(48 * GIB, 26624, 26624), (0, 26624, 8192), (0, 4096, 4096), (GIB, 26624, 13312), (1 << 20, 26624, 1024)],
)
def test_matrices_stay_within_the_goal_and_a_light_filler_takes_small_ones(
    goal: int, documented: int, largest: int
) -> None:
    assert largest_size(documented, goal) == largest
