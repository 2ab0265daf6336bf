"""When a filler may come: to a card that its task leaves idle, and back to one that a tenant has left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.keepalive.idleness import ComeBack, IdleSpell, Quiet

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


def waits(comeback: ComeBack, times: int) -> list[float]:
    """How long a filler stays away, time after time, from a card that is quiet as soon as it has left."""
    found, now_s = [], 0.0
    for _ in range(times):
        comeback.tenant_seen(now_s)
        found.append(comeback.wait_s)
        now_s += comeback.wait_s
        comeback.came_back(now_s)
        now_s += 100
    return found


def test_the_while_of_quiet_doubles_from_a_minute_to_half_an_hour() -> None:
    assert waits(a_comeback(), 8) == [60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_two_fillers_that_left_together_do_not_come_back_together() -> None:
    assert [waits(a_comeback(chance), 2) for chance in (0.0, 0.4, 1.0)] == [[60, 120], [72, 144], [90, 180]]


def test_a_tenant_long_after_the_last_one_finds_the_first_while_again() -> None:
    comeback = a_comeback()
    waits(comeback, 2)
    comeback.tenant_seen(10_000.0)
    assert comeback.wait_s == 60


def test_time_spent_away_does_not_count_as_undisturbed() -> None:
    comeback = a_comeback()
    comeback.tenant_seen(0.0)
    comeback.tenant_seen(7200.0)
    assert comeback.wait_s == 120


@given(st.lists(st.floats(0, 10_000), max_size=20))
def test_the_while_stays_within_its_bounds(gaps: list[float]) -> None:
    comeback, now_s = a_comeback(), 0.0
    for gap_s in gaps:
        now_s += gap_s
        comeback.tenant_seen(now_s)
        assert 60 <= comeback.wait_s <= 1800


# -- quiet


def quiet(
    readings: list[tuple[float | None, int | None]], *, ours: bool = True, every_s: float = 1.0
) -> tuple[bool, float | None]:
    """Whether a card is known to be ours alone after some readings, and how long it has been quiet."""
    watched = Quiet()
    if ours:
        watched.ours(0.0)
    now_s = 0.0
    for utilization_percent, used_bytes in readings:
        now_s += every_s
        is_foreign = (used_bytes or 0) > GIB
        watched.feed(now_s, utilization_percent, used_bytes, is_foreign=is_foreign)
    return watched.is_known, watched.lasted_s(now_s)


IDLE = (0.0, 600 * MIB)


def test_quiet_lasts_as_long_as_nothing_is_seen() -> None:
    assert quiet([IDLE] * 10) == (True, 9)
    assert quiet([IDLE] * 10, ours=False) == (False, 9)


@pytest.mark.parametrize(
    ("reading", "is_known"),
    [
        ((6.0, 600 * MIB), False),
        ((0.0, 665 * MIB), False),
        ((0.0, 3 * GIB), False),
        ((None, 600 * MIB), True),
        ((0.0, None), True),
    ],
    ids=["works", "memory grew", "much is held", "no utilisation", "no memory"],
)
def test_one_reading_that_is_not_quiet_begins_anew(reading: tuple[float | None, int | None], is_known: bool) -> None:
    assert quiet([*[IDLE] * 20, reading]) == (is_known, None)
    assert quiet([*[IDLE] * 20, reading, *[IDLE] * 5]) == (is_known, 4)


def test_memory_that_creeps_up_is_not_quiet() -> None:
    lasted = [quiet([(0.0, 600 * MIB + step * 10 * MIB) for step in range(steps)])[1] for steps in range(1, 20)]
    assert lasted.count(None) == 2
    assert not quiet([(0.0, 600 * MIB + step * 10 * MIB) for step in range(20)])[0]


def test_what_is_left_of_our_own_work_is_nobody_elses_for_a_moment() -> None:
    assert quiet([(90.0, 70 * GIB), (40.0, 30 * GIB), (0.0, 2 * GIB), *[IDLE] * 3]) == (True, 2)
    assert quiet([(0.0, 2 * GIB)] * 9) == (True, None)
    assert quiet([(0.0, 2 * GIB)] * 11) == (False, None)
    assert quiet([(40.0, 600 * MIB)] * 4) == (False, None)


def test_a_card_that_never_told_its_utilisation_is_judged_by_its_memory() -> None:
    assert quiet([(None, 600 * MIB)] * 10) == (True, 9)


def test_what_nobody_looked_at_was_not_quiet_and_is_not_known() -> None:
    assert quiet([IDLE] * 3, every_s=31.0) == (False, 0)
    assert quiet([IDLE, *[(0.0, None)] * 30, IDLE]) == (False, 0)
