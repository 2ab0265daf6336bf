"""How much memory a filler holds, in which pieces, and how large a product it multiplies at once.  Pure.

- The rule that users were given: three N x N fp16 matrices (A, B and C = A @ B, 6 N² bytes together) are to take
  60 % of the card, N = sqrt(0.6 total / 6), with N = 14336, 20480 and 26624 for 24, 48 and 80 GB.  The formula
  gives 50764, 71791 and 92681, though; the sizes are those of twelve such triples in the 60 %, rounded down to 1024:
  N = floor1024(sqrt(0.6 total / (6 * 12))).  Both halves are kept: the sizes as documented, and twelve resident
  triples, with a rest, that fill the 60 %.
- What is multiplied at once is a tile of one triple, chosen by its measured time: a product of the documented size
  lasts 54 ms on an H100 and 145 ms on an A100 (computed, 2 N³ at 700 and 260 TFLOP/s), far too long for a GPU
  that is to be given back at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DEFAULT_FRACTION = 0.6
"""Of the card's memory (``memory_usage_target``)."""
TRIPLES = 12
"""Sets of three matrices that fill the goal."""
STEP = 1024
"""Sizes are multiples of it, and it is the smallest one."""
MATRIX_BYTES_PER_ELEMENT = 2
LEAST_BALLAST_BYTES = 256 << 20
"""Less than this is not worth holding: the halving ends here."""


def matrix_size(total_bytes: int, fraction: float = DEFAULT_FRACTION) -> int:
    """The documented N of a card: 24, 48 and 80 GiB give 14336, 20480 and 26624; never less than 1024.

    Args:
        total_bytes: the card's own total as the driver reports it (an H100 of 80 GB reports 81559 MiB).
        fraction: how much of it is to be held.
    """
    largest = math.isqrt(max(0, int(fraction * total_bytes / (3 * MATRIX_BYTES_PER_ELEMENT * TRIPLES))))
    return max(STEP, largest // STEP * STEP)


def triple_bytes(size: int) -> int:
    """Memory of three ``size`` x ``size`` fp16 matrices."""
    return 3 * MATRIX_BYTES_PER_ELEMENT * size * size


def memory_goal_bytes(total_bytes: int, free_bytes: int, fraction: float, reserve_bytes: int) -> int:
    """How much a filler is to hold: the fraction of the card, or what is free less the reserve; never below 0.

    Args:
        total_bytes: the card's own total.
        free_bytes: what nobody holds now (total less used, before the filler starts).
        fraction: ``memory_usage_target``, 0..1.
        reserve_bytes: left free for whoever comes, and for the filler's own context (0.3 to 0.7 GiB).
    """
    return max(0, min(int(fraction * total_bytes), free_bytes - reserve_bytes))


@dataclass(frozen=True)
class Holding:
    """What a goal consists of: whole triples, and one block for the rest."""

    size: int
    """N of each triple's matrices."""
    triples: int
    rest_bytes: int

    @property
    def block_bytes(self) -> tuple[int, ...]:
        """The blocks to allocate, largest first; their sum is the goal.  The product's tile lies in the first."""
        return (triple_bytes(self.size),) * self.triples + ((self.rest_bytes,) if self.rest_bytes else ())


def divide(goal_bytes: int, size: int) -> Holding:
    """The goal in blocks: as many triples as fit (twelve where the goal is the card's full share) and the rest.

    A goal below one triple is one block: the tile that is multiplied has its own memory then, or lies in it.
    """
    triples, rest_bytes = divmod(max(0, goal_bytes), triple_bytes(size))
    return Holding(size, triples, rest_bytes)


def goal_after_out_of_memory(goal_bytes: int) -> int | None:
    """The next goal to try when this one ran out of memory: half of it, 0 at last, then None: give up.

    Repeated, it ends: below ``LEAST_BALLAST_BYTES`` the next goal is 0 (only the tile), and a card that has no room
    even for that gets no filler.
    """
    if goal_bytes <= 0:
        return None
    half_bytes = goal_bytes // 2
    return half_bytes if half_bytes >= LEAST_BALLAST_BYTES else 0


def tile_size(measured: int, kernel_s: float, longest_s: float, largest: int, step: int = STEP) -> int:
    """The largest tile whose product is expected to last no longer than ``longest_s``.

    A product takes 2 N³ operations, and larger ones run at a higher rate, so the expectation errs on the long side:
    measure the answer and ask again, twice is enough.

    Args:
        measured: size of a product that was timed.
        kernel_s: how long it took; above 0.
        longest_s: longest single launch.
        largest: never more, for example ``matrix_size`` of the card.
        step: the answer is a multiple of it and at least one step, however slow the card is.
    """
    if kernel_s <= 0:
        raise ValueError(f"a product of size {measured} took {kernel_s} s; expected a measured time, above 0")
    fitting = measured * (longest_s / kernel_s) ** (1 / 3) * (1 + 1e-9)  # an exact fit is one
    return max(step, min(int(fitting), largest) // step * step)
