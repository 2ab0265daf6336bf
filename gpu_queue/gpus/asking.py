"""Which questions a card is to be asked, and when.  Pure.

- Each call of NVML takes a lock of the driver that whoever launches kernels takes too, so it is asked as seldom as
  what hangs on the answer allows: memory and utilisation ten times a second where a filler must see a tenant come,
  once a second elsewhere; power and energy once a second; modes, temperature and power limit each
  ten seconds; names once.
- A card is *sampled* while a task waits for others to leave it: its memory and utilisation four times a second, for
  what the driver tells of the latter is a mean over a sixth of a second to a second.
- A card is *hurried* while a task waits for its memory: then memory alone is asked, as often as that makes sense.
- All together come to ``CALLS_PER_S`` at most: more cards, or MIG devices, are each asked less often.  ``Spent``
  holds that also where cards are hurried time and again.
- Readings lie on a common grid, so that whoever asks wakes ten times a second and not ten times for each card; what
  is asked seldom is spread over it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import floor

CALLS_PER_S = 200
_PLANNED_PER_S = 190.0
"""Wake-ups are never punctual, and cards are hurried for a moment."""
WATCHED_S = 0.1
HURRIED_S = 0.05
SAMPLED_S = 0.25
USUAL_S = 1.0
MODES_S = 10.0
_LEAST_PER_S = 20.0
"""What stays for watched cards where there are so many that the rest alone is too much."""
_NEVER = float("-inf")


class Question(Enum):
    """What is asked together."""

    MODES = "modes"
    """MIG, compute mode, temperature, power limit; what the devices are called, if that is not known."""
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
    """It has no utilisation, power, energy and temperature that could be asked for."""
    is_failing: bool = False
    """Then it is asked everything, once a second."""
    rests_until: float = _NEVER
    """It is asked nothing before."""
    slowest_s: float = 0.0
    """What its slowest answer took; such a card comes last."""
    is_sampled: bool = False
    """Somebody wants to know whether others use it."""

    @property
    def questions(self) -> Sequence[Question]:
        """Those that make sense."""
        return (Question.MODES, Question.MEMORY) if self.is_mig else tuple(Question)

    def calls(self, question: Question) -> int:
        """How many calls it takes."""
        if question is Question.MODES:
            return 2 + (1 + 2 * self.devices if self.is_mig else 2)
        return self.devices if question is Question.MEMORY else 1 + (question is Question.POWER)


@dataclass(frozen=True)
class Turn:
    """What one card is to be asked."""

    place: int
    questions: frozenset[Question]
    calls: int
    """How many it will take."""


def plan(slots: Iterable[Slot], now: float) -> tuple[list[Turn], float]:
    """What is to be asked now, and when something is due next.

    Args:
        slots: all cards.
        now: monotonic seconds.

    Returns:
        The cards whose turn it is, hurried ones first, those that were slow last; and a moment, which has passed if
        anything is due.
    """
    slots = list(slots)
    factor = stretch(slots)
    due: list[tuple[tuple[float, bool, float, int], Turn]] = []
    next_at = float("inf")
    for slot in slots:
        times = {question: max(slot.rests_until, _due_at(slot, question, factor)) for question in slot.questions}
        first_at = min(times.values())
        next_at = min(next_at, first_at)
        questions = frozenset(question for question, at in times.items() if at <= now)
        if questions:
            questions = frozenset(slot.questions) if slot.is_failing else questions
            order = (slot.slowest_s, slot.attention is not Attention.HURRIED, first_at, slot.place)
            due.append((order, Turn(slot.place, questions, sum(map(slot.calls, questions)))))
    return [turn for _, turn in sorted(due, key=lambda one: one[0])], next_at


def stretch(slots: Sequence[Slot]) -> float:
    """How much longer than meant the cards that are looked at closely wait for their turn; 1: not at all."""
    usual = close = 0.0
    for slot in slots:
        for question in slot.questions:
            period_s = _period_s(slot, question)
            if period_s < USUAL_S:
                close += slot.calls(question) / period_s
            else:
                usual += slot.calls(question) / period_s
    return max(1.0, close / max(_LEAST_PER_S, _PLANNED_PER_S - usual))


class Spent:
    """The calls of the last second."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, int]] = deque()
        self._count = 0

    def add(self, now: float, calls: int) -> None:
        """Note that so many were made; ``now`` never goes back."""
        self._calls.append((now, calls))
        self._count += calls

    def free_at(self, now: float, calls: int = 1) -> float:
        """When so many more may be made: now, or later."""
        while self._calls and self._calls[0][0] <= now - 1.0:
            self._count -= self._calls.popleft()[1]
        return now if self._count + min(calls, CALLS_PER_S) <= CALLS_PER_S else self._calls[0][0] + 1.0


def _period_s(slot: Slot, question: Question) -> float:
    if slot.is_failing:
        return USUAL_S
    if question is Question.MODES:
        return MODES_S
    if question is Question.MEMORY and slot.attention is Attention.HURRIED:
        return HURRIED_S
    is_gauge = question in (Question.MEMORY, Question.UTILIZATION)
    if is_gauge and slot.attention is Attention.WATCHED:
        return WATCHED_S
    return SAMPLED_S if is_gauge and slot.is_sampled else USUAL_S


def _due_at(slot: Slot, question: Question, factor: float) -> float:
    asked_at = slot.asked_at.get(question, _NEVER)
    if asked_at == _NEVER:
        return _NEVER
    period_s = _period_s(slot, question)
    if period_s == HURRIED_S:
        return asked_at + period_s * factor
    if period_s < USUAL_S:
        return _next_on_grid(asked_at, period_s * factor, 0.0)
    is_spread = question is Question.MODES or slot.attention is not Attention.USUAL
    return _next_on_grid(asked_at, period_s, period_s * (slot.place % 10) / 10 if is_spread else 0.0)


def _next_on_grid(asked_at: float, period_s: float, offset_s: float) -> float:
    at = (floor((asked_at - offset_s) / period_s) + 1) * period_s + offset_s
    # A reading that came late, or was hurried, is not followed by the next one at once.
    return at if at - asked_at >= period_s / 4 else at + period_s
