"""Which questions a card is asked when."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_queue.gpus.asking import ALL, Attention, Question, Slot, Spent, Turn, plan, stretch
from tests.cases import long

CALLS = {Question.MODES: 4, Question.MEMORY: 1, Question.UTILIZATION: 1, Question.POWER: 2}
HURRIED, USUAL, WATCHED = Attention.HURRIED, Attention.USUAL, Attention.WATCHED
START = 1000.03


@dataclass
class Asker:
    """Asks what is due, as the thread does, and wakes late by so much."""

    attentions: list[Attention]
    late_s: float = 0.0
    is_sampled: bool = False
    now: float = START
    asked: list[dict[Question, float]] = field(default_factory=list)
    told: list[tuple[float, int, Question]] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self.asked = [{} for _ in self.attentions]

    def slots(self) -> list[Slot]:
        pairs = zip(self.attentions, self.asked, strict=True)
        sampled = self.is_sampled
        return [Slot(place, attention, asked, is_sampled=sampled) for place, (attention, asked) in enumerate(pairs)]

    def run(self, until: float) -> None:
        while self.now < until:
            due, next_at = plan(self.slots(), self.now)
            for turn in due:
                if self.spent.free_at(self.now, turn.calls) > self.now:
                    break
                for question in turn.questions:
                    self.asked[turn.place][question] = self.now
                    self.told.append((self.now, turn.place, question))
                self.spent.add(self.now, sum(CALLS[question] for question in turn.questions))
                self.now += 0.0001
            due, next_at = plan(self.slots(), self.now)
            free_at = self.spent.free_at(self.now, due[0].calls if due else 1)
            self.now = max(self.now + 0.001, min(until, max(next_at, free_at))) + self.late_s

    def each_second(self, place: int, question: Question) -> float:
        times = [at for at, where, what in self.told if (where, what) == (place, question) and at > START + 1]
        return (len(times) - 1) / (times[-1] - times[0])

    def most_in_a_second(self) -> int:
        times = [at for at, _, question in self.told for _ in range(CALLS[question])]  # they never go back
        return max(bisect_left(times, at + 1, lo=begin) - begin for begin, at in enumerate(times))


def asked(slots: list[Slot], now: float) -> list[tuple[int, frozenset[Question]]]:
    return [(turn.place, turn.questions) for turn in plan(slots, now)[0]]


def test_a_card_that_was_never_asked_is_asked_everything_at_once() -> None:
    assert plan([Slot(0, USUAL, {})], START)[0] == [Turn(0, ALL, calls=8)]


def test_each_question_has_its_rate() -> None:
    asker = Asker([WATCHED, USUAL, HURRIED])
    asker.run(START + 40)
    rates = {
        (place, question): round(asker.each_second(place, question), 1) for place in range(3) for question in Question
    }
    assert rates == {
        (0, Question.MEMORY): 10.0,
        (0, Question.UTILIZATION): 10.0,
        (1, Question.MEMORY): 1.0,
        (1, Question.UTILIZATION): 1.0,
        (2, Question.MEMORY): 20.0,
        (2, Question.UTILIZATION): 1.0,
        **{(place, Question.POWER): 1.0 for place in range(3)},
        **{(place, Question.MODES): 0.1 for place in range(3)},
    }


def test_a_sampled_card_is_asked_four_times_a_second_for_its_memory_and_utilisation() -> None:
    asker = Asker([USUAL, HURRIED, WATCHED], is_sampled=True)
    asker.run(START + 40)
    gauges = (Question.MEMORY, Question.UTILIZATION)
    rates = [[round(asker.each_second(place, question), 1) for question in gauges] for place in range(3)]
    assert rates == [[4.0, 4.0], [20.0, 4.0], [10.0, 10.0]]
    assert round(asker.each_second(0, Question.POWER), 1) == 1.0


@pytest.mark.parametrize("late_s", [0.0, 0.03, *long(0.004)])
@pytest.mark.parametrize("attention", Attention)
def test_eight_cards_take_at_most_200_calls_in_any_second(attention: Attention, late_s: float) -> None:
    asker = Asker([attention] * 8, late_s)
    asker.run(START + 25)
    assert asker.most_in_a_second() <= 200


def test_nor_do_cards_that_are_hurried_time_and_again() -> None:
    asker = Asker([WATCHED] * 8)
    asker.run(START + 1)
    for _ in range(20):
        for attention in (HURRIED, WATCHED):
            asker.attentions = [attention] * 8
            asker.run(asker.now + 0.051)
    assert 190 <= asker.most_in_a_second() <= 200


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(Attention), st.floats(0.001, 0.2)), max_size=60))
@settings(max_examples=50, deadline=None)
def test_no_order_of_haste_makes_it_more(changes: list[tuple[int, Attention, float]]) -> None:
    asker = Asker([WATCHED] * 8)
    for place, attention, for_s in changes:
        asker.attentions[place] = attention
        asker.run(asker.now + for_s)
    assert not asker.told or asker.most_in_a_second() <= 200


def test_where_there_are_more_cards_each_waits_longer_and_none_for_ever() -> None:
    assert stretch([Slot(place, WATCHED, {}) for place in range(8)]) == 1.0
    asker = Asker([WATCHED] * 24)
    asker.run(START + 10)
    assert asker.most_in_a_second() <= 200
    assert all(2.0 < asker.each_second(place, Question.MEMORY) < 3.0 for place in range(24))


def test_devices_of_a_card_count_each() -> None:
    slices = [Slot(place, WATCHED, {}, devices=7, is_mig=True) for place in range(8)]
    assert stretch(slices) == pytest.approx(560 / (190 - 8 * 17 / 10))


def test_whole_rounds_are_asked_at_once_so_that_a_thread_wakes_ten_times_a_second() -> None:
    asker = Asker([WATCHED] * 8)
    asker.run(START + 11)
    rounds = Counter(round(at, 2) for at, _, question in asker.told if question is Question.MEMORY and at > START + 2)
    assert set(rounds.values()) == {8}
    assert len(rounds) == 90


def test_a_hurried_card_is_asked_for_its_memory_at_once_and_first() -> None:
    before = dict.fromkeys(Question, START)
    slots = [Slot(0, WATCHED, before), Slot(1, HURRIED, before)]
    assert plan(slots, START + 0.04)[1] == pytest.approx(START + 0.05)
    assert asked(slots, START + 0.2) == [
        (1, frozenset({Question.MEMORY})),
        (0, frozenset({Question.MEMORY, Question.UTILIZATION})),
    ]


def test_a_card_that_rests_is_asked_nothing_until_then() -> None:
    slot = Slot(0, HURRIED, {}, rests_until=START + 60)
    assert plan([slot], START + 59)[1] == START + 60
    assert asked([slot], START + 59) == []
    assert asked([slot], START + 60) == [(0, ALL)]


def test_a_card_that_was_slow_comes_last() -> None:
    slots = [Slot(0, HURRIED, {}, slowest_s=45), Slot(1, USUAL, {})]
    assert asked(slots, START) == [(1, ALL), (0, ALL)]


def test_a_card_that_fails_is_asked_everything_once_a_second_however_closely_it_is_looked_at() -> None:
    slot = Slot(0, WATCHED, dict.fromkeys(Question, START), is_failing=True)
    assert asked([slot], START + 0.9) == []
    assert asked([slot], START + 1.0) == [(0, ALL)]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_reading_that_came_late_is_not_followed_by_the_next_at_once(is_late: bool) -> None:
    asked_at = 2000.08 if is_late else 2000.02
    _, next_at = plan([Slot(0, WATCHED, dict.fromkeys(Question, asked_at))], asked_at)
    assert next_at == pytest.approx(2000.2 if is_late else 2000.1)
