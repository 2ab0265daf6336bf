"""Which of several cards that fit a task gets, and how many of them.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gpu_queue.scheduling.admission import Card, unpromised_bytes
from gpu_queue.sharing import Select


def grant(gpus_min: int, gpus_max: int, available: int, left: int = 0) -> int:
    """How many cards a task gets: document 002's ``min(max, max(min, available - gpu_left))``, with one departure.

    There a task gets its minimum even where that eats what is left to others; here it waits: 0.

    Args:
        gpus_min: it needs so many.
        gpus_max: it can use so many.
        available: those that it could have, also those that are left to others.
        left: so many of them are left to others.
    """
    wanted = min(gpus_max, max(gpus_min, available - left))
    return wanted if wanted <= available - left else 0


def in_order_of(cards: Sequence[Card], select: Select, turn: int) -> list[Card]:
    """Cards, the one first that is taken first.

    Args:
        cards: those that fit.
        select: by what they are chosen.
        turn: the index at which ``round_robin`` goes on.
    """
    if select is Select.ROUND_ROBIN:
        return sorted(cards, key=lambda card: (card.index < turn, card.index))
    if select is Select.LEAST_UTIL:
        return sorted(cards, key=lambda card: (_busy_percent(card), -(unpromised_bytes(card) or 0), card.index))
    return sorted(cards, key=lambda card: (-(unpromised_bytes(card) or 0), card.index))


def turn_after(indices: Collection[int], turn: int) -> int:
    """Where ``round_robin`` goes on after these cards were given.

    Args:
        indices: of the cards that were given together.
        turn: where it stood.
    """
    return 1 + max(indices, key=lambda index: (index < turn, index), default=turn - 1)


def _busy_percent(card: Card) -> float:
    """The average of the last readings; what was not read comes last."""
    readings = card.utilization_percent
    return sum(readings) / len(readings) if readings else 100.0
