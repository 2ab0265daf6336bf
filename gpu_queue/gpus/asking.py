"""Which questions a card is to be asked, and when.  Pure.

- Each call of NVML takes a lock of the driver that whoever launches kernels takes too, so it is asked as seldom as
  what hangs on the answer allows: memory and utilisation ten times a second where a filler must see a tenant come,
  once a second elsewhere; power and energy once a second; modes each ten seconds; names once.
- A card is *hurried* while a task waits for its memory: then memory alone is asked, as often as that makes sense.
- All together come to at most ``CALLS_PER_S``: more cards, or MIG devices, are each asked less often.
- Readings lie on a common grid, so that whoever asks wakes ten times a second and not ten times for each card; what
  is asked seldom is spread over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import floor

CALLS_PER_S = 190.0
"""Planned.  The promise is 200: the rest is for cards that are hurried for a moment."""
WATCHED_S = 0.1
HURRIED_S = 0.05
USUAL_S = 1.0
MODES_S = 10.0
_LEAST_PER_S = 20.0
"""What stays for watched cards where there are so many that the rest alone is too much."""
_MODES_CALLS = 2
_POWER_CALLS = 2
_NEVER = float("-inf")


class Question(Enum):
    """What is asked together."""

    MODES = "modes"
    """MIG, compute mode; what the devices are called, if that is not known."""
    MEMORY = "memory"
    UTILIZATION = "utilization"
    POWER = "power"
    """Power and energy."""


ALL = frozenset(Question)


class Attention(Enum):
    """How closely a card is looked at."""

    USUAL = "usual"
    WATCHED = "watched"
    """A filler is on it."""
    HURRIED = "hurried"
    """A task waits for its memory to be free."""


@dataclass(frozen=True)
class Slot:
    """One card, as far as its turn goes."""

    place: int
    attention: Attention
    asked_at: Mapping[Question, float]
    """When each was asked last, in monotonic seconds; never: not in it."""
    devices: int = 1
    """More than one: its MIG devices."""
    is_mig: bool = False
    """It has no utilisation, power and energy that could be asked for."""
    is_failing: bool = False
    """Then it is asked everything, once a second."""
    rests_until: float = _NEVER
    """It is asked nothing before."""
    slowest_s: float = 0.0
    """What its slowest answer took; such a card comes last."""

    @property
    def questions(self) -> Sequence[Question]:
        """Those that make sense."""
        return (Question.MODES, Question.MEMORY) if self.is_mig else tuple(Question)


def plan(slots: Iterable[Slot], now: float) -> tuple[list[tuple[int, frozenset[Question]]], float]:
    """What is to be asked now, and when something is due next.

    Args:
        slots: all cards.
        now: monotonic seconds.

    Returns:
        Places and their questions: hurried cards first, those that were slow last; and a moment, which has passed
        if anything is due.
    """
    slots = list(slots)
    factor = stretch(slots)
    due: list[tuple[Slot, frozenset[Question]]] = []
    next_at = float("inf")
    for slot in slots:
        times = {question: max(slot.rests_until, _due_at(slot, question, factor)) for question in slot.questions}
        next_at = min(next_at, *times.values())
        questions = frozenset(question for question, at in times.items() if at <= now)
        if questions:
            due.append((slot, ALL if slot.is_failing else questions))
    due.sort(key=lambda one: (one[0].slowest_s, one[0].attention is not Attention.HURRIED, one[0].place))
    return [(slot.place, questions) for slot, questions in due], next_at


def stretch(slots: Sequence[Slot]) -> float:
    """How much longer than meant the cards that are looked at closely wait for their turn; 1: not at all."""
    usual = close = 0.0
    for slot in slots:
        gauges = 0 if slot.is_mig else 1
        usual += _POWER_CALLS * gauges / USUAL_S + (_MODES_CALLS + slot.devices * slot.is_mig) / MODES_S
        if slot.attention is Attention.WATCHED:
            close += (slot.devices + gauges) / WATCHED_S
        elif slot.attention is Attention.HURRIED:
            close += slot.devices / HURRIED_S
            usual += gauges / USUAL_S
        else:
            usual += (slot.devices + gauges) / USUAL_S
    return max(1.0, close / max(_LEAST_PER_S, CALLS_PER_S - usual))


def _due_at(slot: Slot, question: Question, factor: float) -> float:
    asked_at = slot.asked_at.get(question, _NEVER)
    if asked_at == _NEVER:
        return _NEVER
    if slot.is_failing:
        return _next_on_grid(asked_at, USUAL_S, 0.0)
    is_close = slot.attention is not Attention.USUAL
    tenth = slot.place % 10 / 10
    if question is Question.MODES:
        return _next_on_grid(asked_at, MODES_S, MODES_S * tenth)
    if question is Question.MEMORY and slot.attention is Attention.HURRIED:
        return asked_at + HURRIED_S * factor
    if question is not Question.POWER and slot.attention is Attention.WATCHED:
        return _next_on_grid(asked_at, WATCHED_S * factor, 0.0)
    return _next_on_grid(asked_at, USUAL_S, USUAL_S * tenth if is_close else 0.0)


def _next_on_grid(asked_at: float, period_s: float, offset_s: float) -> float:
    at = (floor((asked_at - offset_s) / period_s) + 1) * period_s + offset_s
    # A reading that came late, or was hurried, is not followed by the next one at once.
    return at if at - asked_at >= period_s / 2 else at + period_s
