"""How much memory a filler holds, and the size of the matrices that it multiplies.  Pure.

- The rule that users were given: three N x N fp16 matrices (A, B and C = A @ B, 6 N² bytes together) are to take
  60 % of the card, N = sqrt(0.6 total / 6), with N = 14336, 20480 and 26624 for 24, 48 and 80 GB.  The formula
  gives 50764, 71791 and 92681, though; the sizes are those of twelve such triples in the 60 %, rounded down to 1024:
  N = floor1024(sqrt(0.6 total / (6 * 12))).  Both halves are kept: the sizes as documented, and 60 % resident, as
  much as twelve such triples and a rest.
- What is multiplied at once is no larger than that, and smaller where its measured time asks for it: a product of
  the documented size lasts 54 ms on an H100 and 145 ms on an A100 (computed, 2 N³ at 700 and 260 TFLOP/s), too long
  for a GPU that is to be given back at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

DEFAULT_FRACTION = 0.6
"""Of the card's memory (``memory_usage_target``)."""
TRIPLES = 12
"""Sets of three matrices that fill the goal."""
STEP = 1024
"""Sizes are multiples of it, and it is the smallest one: what tensor cores like, and what was promised."""
MATRIX_BYTES_PER_ELEMENT = 2
LIGHT_SIZE = 8192
"""The largest matrices of a filler without ballast: 384 MiB for three."""


def matrix_size(total_bytes: int, fraction: float = DEFAULT_FRACTION) -> int:
    """The documented N of a card: 24, 48 and 80 GiB give 14336, 20480 and 26624; never less than 1024.

    Args:
        total_bytes: the card's own total as the driver reports it (an H100 of 80 GB reports 81559 MiB).
        fraction: how much of it is to be held.
    """
    largest = math.isqrt(max(0, int(fraction * total_bytes / (3 * MATRIX_BYTES_PER_ELEMENT * TRIPLES))))
    return _whole_steps(largest)


def memory_goal_bytes(total_bytes: int, free_bytes: int, fraction: float, reserve_bytes: int) -> int:
    """How much a filler is to hold: the fraction of the card, or what is free less the reserve; never below 0.

    Args:
        total_bytes: the card's own total.
        free_bytes: what nobody holds now (total less used, before the filler starts).
        fraction: ``memory_usage_target``, 0..1.
        reserve_bytes: left free for whoever comes, and for the filler's own context (0.3 to 0.7 GiB).
    """
    return max(0, min(int(fraction * total_bytes), free_bytes - reserve_bytes))


def largest_size(documented: int, goal_bytes: int) -> int:
    """N of the largest three matrices that a filler may multiply: the documented size, if its goal has room for it.

    Args:
        documented: the card's size (``matrix_size``).
        goal_bytes: what the filler is to hold; 0: it is a light one.
    """
    if not goal_bytes:
        return _whole_steps(min(documented, LIGHT_SIZE))
    return _whole_steps(min(documented, math.isqrt(goal_bytes // (3 * MATRIX_BYTES_PER_ELEMENT))))


def choose_tile(largest: int, tile_s: float, measure: Callable[[int], float]) -> int:
    """The largest multiple of 1024, up to a limit, of which one product takes no longer than wanted; at least 1024.

    Nothing is tried that is more than twice as large as what was in time, so that on whatever card no product takes
    more than eight times as long as wanted.  (The smallest one is tried in any case: 50 ms at 40 GFLOP/s.)

    Args:
        largest: the limit.
        tile_s: how long it may take.
        measure: seconds that a product of this size takes; infinity if there is no room for it.
    """
    times: dict[int, float] = {}

    def is_in_time(size: int) -> bool:
        if size not in times:
            times[size] = measure(size)
        return times[size] <= tile_s

    largest = _whole_steps(largest)
    size = STEP
    while is_in_time(size):
        # Time grows with the cube of the size; a little less in truth, for large products use a card better.
        hoped = size * (tile_s / max(times[size], 1e-9)) ** (1 / 3)
        following = min(_whole_steps(hoped), 2 * size, largest)
        if following <= size:
            break
        size = following
    while size > STEP and not is_in_time(size):
        size -= STEP
    while size + STEP <= largest and is_in_time(size) and is_in_time(size + STEP):
        size += STEP
    return size


def _whole_steps(size: float) -> int:
    return max(STEP, int(size) // STEP * STEP)
