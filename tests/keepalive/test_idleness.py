"""When a filler may come: to a card that its task leaves idle, and back to one that a tenant has left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.idleness import ComeBack, IdleSpell

MIB = 1 << 20
GIB = 1 << 30
TOTAL = 80 * GIB


def test_a_card_is_left_idle_after_the_whole_time_without_a_break() -> None:
    spell = IdleSpell(600.0)
    answers = [spell.feed(float(second), 0, 10 * GIB, TOTAL) for second in range(620)]
    assert answers.index(True) == 600


@pytest.mark.parametrize(
    ("utilization", "used"),
    [(6, 10 * GIB), (100, 10 * GIB), (None, 10 * GIB), (0, None), (0, 65 * GIB)],
    ids=["works", "works hard", "no reading", "no memory reading", "little memory left"],
)
def test_one_reading_that_is_not_idle_begins_anew(utilization: int | None, used: int | None) -> None:
    spell = IdleSpell(600.0)
    for second in range(599):
        spell.feed(float(second), 0, 10 * GIB, TOTAL)
    assert not spell.feed(599.0, utilization, used, TOTAL)
    answers = [spell.feed(600.0 + second, 0, 10 * GIB, TOTAL) for second in range(610)]
    assert answers.index(True) == 600


def test_what_nobody_looked_at_was_not_idle() -> None:
    spell = IdleSpell(600.0)
    spell.feed(0.0, 0, 0, TOTAL)
    assert not spell.feed(700.0, 0, 0, TOTAL)


def test_after_a_reset_idleness_begins_anew() -> None:
    spell = IdleSpell(10.0)
    for second in range(11):
        spell.feed(float(second), 0, 0, TOTAL)
    spell.reset()
    assert not spell.feed(11.0, 0, 0, TOTAL)


def test_a_small_card_keeps_four_gib_for_its_task() -> None:
    spell = IdleSpell(0.0)
    assert not spell.feed(0.0, 0, 9 * GIB, 12 * GIB)
    assert spell.feed(1.0, 0, 8 * GIB, 12 * GIB)


def a_comeback(chance: float = 0.0) -> ComeBack:
    return ComeBack(lambda: chance)


def stay_away(comeback: ComeBack, since_s: float) -> float:
    """How long a filler stays away from a card that is idle from this moment on."""
    now_s = since_s
    while not comeback.may_come(now_s, 600 * MIB, 0, 600 * MIB):
        now_s += 1
    return now_s - since_s


def test_nothing_is_waited_for_before_the_first_tenant() -> None:
    assert a_comeback().may_come(0.0, None, None, 0)


def test_the_while_of_idleness_doubles_from_a_minute_to_half_an_hour() -> None:
    comeback, now_s, waits = a_comeback(), 0.0, []
    for _ in range(8):
        comeback.tenant_seen(now_s)
        waits.append(stay_away(comeback, now_s))
        now_s += waits[-1] + 100
    assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_two_fillers_that_left_together_do_not_come_back_together() -> None:
    waits = []
    for chance in (0.0, 0.4, 1.0):
        comeback = a_comeback(chance)
        comeback.tenant_seen(0.0)
        waits.append([stay_away(comeback, 0.0)])
        comeback.tenant_seen(100.0)
        waits[-1].append(stay_away(comeback, 100.0))
    assert waits == [[60, 120], [72, 144], [90, 180]]


def test_a_tenant_long_after_the_last_one_finds_the_first_while_again() -> None:
    comeback = a_comeback()
    for now_s in (0.0, 200.0):
        comeback.tenant_seen(now_s)
        stay_away(comeback, now_s)
    comeback.tenant_seen(200 + 120 + 1800)
    assert comeback.wait_s == 60


def test_time_spent_away_does_not_count_as_undisturbed() -> None:
    comeback = a_comeback()
    comeback.tenant_seen(0.0)
    comeback.tenant_seen(7200.0)
    assert comeback.wait_s == 120


@pytest.mark.parametrize(
    ("used", "utilization"),
    [(600 * MIB + 65 * MIB, 0), (600 * MIB, 5), (None, 0), (600 * MIB, None)],
    ids=["memory is still held", "something works", "no memory reading", "no reading"],
)
def test_it_must_be_idle_without_a_break(used: int | None, utilization: int | None) -> None:
    comeback = a_comeback()
    comeback.tenant_seen(0.0)
    for second in range(59):
        assert not comeback.may_come(float(second), 600 * MIB, 0, 600 * MIB)
    assert not comeback.may_come(59.0, used, utilization, 600 * MIB)
    assert stay_away(comeback, 60.0) == 60


def test_without_a_gauge_memory_alone_is_judged() -> None:
    comeback = ComeBack(lambda: 0.0, has_gauge=False)
    comeback.tenant_seen(0.0)
    answers = [comeback.may_come(float(second), 600 * MIB, None, 600 * MIB) for second in range(62)]
    assert answers.index(True) == 60


def test_a_gap_between_readings_is_not_idle() -> None:
    comeback = a_comeback()
    comeback.tenant_seen(0.0)
    assert not comeback.may_come(0.0, 0, 0, 0)
    assert not comeback.may_come(100.0, 0, 0, 0)


@given(st.lists(st.floats(0, 10_000), max_size=20))
def test_the_while_stays_within_its_bounds(gaps: list[float]) -> None:
    comeback, now_s = a_comeback(), 0.0
    for gap_s in gaps:
        now_s += gap_s
        comeback.tenant_seen(now_s)
        assert 60 <= comeback.wait_s <= 1800
