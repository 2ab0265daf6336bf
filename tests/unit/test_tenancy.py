"""Who else is on the cards of a shared server, and which cards are competed for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_queue.scheduling.tenancy import (
    CHANGED_BYTES,
    EVERY_S,
    SAMPLES,
    SETTLES_S,
    WINDOW_S,
    Competing,
    Look,
    Tenant,
    Watched,
    competing,
    strangers,
    user_pythons,
)
from gpu_queue.sharing import GpuLeft, Sharing

OURS, HIS = 1000, 1001
GIB = 1 << 30


def tenant(uid: int | None = OURS, claim: str | None = None, *, python: bool = True, filler: bool = False) -> Tenant:
    return Tenant(7, 1, "python", uid, claim=claim, is_python=python, is_filler=filler)


@dataclass(frozen=True)
class Named:
    index: int

    @property
    def uuid(self) -> str:
        return f"GPU-{self.index:02}abc"


def uuids(*indices: int) -> tuple[str, ...]:
    return tuple(Named(index).uuid for index in indices)


FOUR = [Named(index) for index in range(4)]


# -- which cards ----------------------------------------------------------------------------------------------------


def test_without_a_list_all_cards_are_competed_for() -> None:
    assert competing(FOUR, Sharing()) == Competing(uuids(0, 1, 2, 3), ())


def test_the_last_cards_of_the_list_are_left_whatever_their_indices_are() -> None:
    sharing = Sharing(compete_gpus=("3", "1", "GPU-00"), gpu_left=GpuLeft(1))
    assert competing(FOUR, sharing) == Competing(uuids(3, 1), uuids(0))


def test_the_list_of_the_documents_names_more_cards_than_there_are() -> None:
    sharing = Sharing(compete_gpus=tuple(map(str, range(10))), gpu_left=GpuLeft(1))
    assert competing(FOUR, sharing) == Competing(uuids(0, 1, 2), uuids(3), ("4", "5", "6", "7", "8", "9"))


def test_use_all_gpus_makes_the_list_say_nothing() -> None:
    sharing = Sharing(compete_gpus=("9", "nonsense"), use_all_gpus=True, gpu_left=GpuLeft(2))
    assert competing(FOUR, sharing) == Competing(uuids(0, 1), uuids(2, 3))


def test_what_fits_several_cards_or_none_is_told_and_what_is_named_twice_counts_once() -> None:
    sharing = Sharing(compete_gpus=("GPU-0", "MIG-1", "x", " 2", "GPU-02abc", "-1"))
    assert competing(FOUR, sharing) == Competing(uuids(2), (), ("GPU-0", "MIG-1", "x", "-1"))


def test_cards_that_are_left_while_they_are_free_are_competed_for() -> None:
    assert competing(FOUR, Sharing(gpu_left=GpuLeft(2, of_free=True))) == Competing(uuids(0, 1, 2, 3), ())


@given(st.lists(st.integers(0, 12).map(str)), st.integers(0, 20), st.booleans())
def test_a_card_is_competed_for_or_left_and_never_both(entries: list[str], left: int, every: bool) -> None:
    found = competing(FOUR, Sharing(tuple(entries), use_all_gpus=every, gpu_left=GpuLeft(left)))
    both = found.competed + found.left
    assert len(set(both)) == len(both)
    assert len(found.left) == min(left, len(both))


# -- whose processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "is_user_python", "is_stranger"),
    [
        (tenant(), True, False),
        (tenant(python=False), False, False),
        (tenant(claim="a-claim"), False, False),
        (tenant(filler=True), False, False),
        (tenant(uid=HIS), False, True),
        (tenant(uid=None, python=False), False, True),
        (tenant(uid=HIS, claim="a-claim"), False, True),
    ],
)
def test_a_process_is_a_task_s_or_the_user_s_or_a_stranger_s(
    one: Tenant, is_user_python: bool, is_stranger: bool
) -> None:
    assert bool(user_pythons([one], OURS)) == is_user_python
    assert bool(strangers([one], OURS)) == is_stranger


# -- what is remembered of a card -----------------------------------------------------------------------------------


class Card:
    """A card that is read every ``EVERY_S`` and looked at when the test says so."""

    def __init__(self) -> None:
        self.watched = Watched(OURS)
        self.now = 100.0
        self.used = GIB

    def read(self, count: int = 1, used: int | None = None, percent: int | None = 0) -> None:
        self.used = self.used if used is None else used
        for _ in range(count):
            self.now += EVERY_S
            self.watched.add(self.now, percent)
            self.watched.add_memory(self.now, self.used)

    def look(self, *found: Tenant) -> None:
        self.watched.see(Look(self.now, self.now, {}), found)

    def has_stranger(self) -> bool:
        return self.watched.has_stranger(self.now)


@pytest.fixture
def card() -> Card:
    return Card()


def test_a_card_is_judged_when_there_are_enough_readings_that_are_not_too_old(card: Card) -> None:
    card.read(SAMPLES - 1)
    assert not card.watched.is_complete(card.now)
    card.read(percent=50)
    assert card.watched.is_complete(card.now)
    assert card.watched.utilization(card.now) == (*[0] * (SAMPLES - 1), 50)
    assert not card.watched.is_complete(card.now + WINDOW_S)
    assert card.watched.utilization(card.now + WINDOW_S + 0.01) == ()


def test_readings_that_come_too_soon_are_one(card: Card) -> None:
    card.read()
    card.watched.add(card.now + 0.1, 100)
    assert card.watched.utilization(card.now) == (0,)


def test_a_utilisation_that_is_not_told_is_not_zero(card: Card) -> None:
    card.read(SAMPLES, percent=None)
    assert card.watched.is_complete(card.now)
    assert card.watched.utilization(card.now) == ()


def test_a_stranger_has_gone_when_enough_readings_came_since_he_was_missed(card: Card) -> None:
    card.read(SAMPLES)
    assert not card.has_stranger()
    card.look(tenant(uid=HIS))
    card.read(100)
    assert card.has_stranger()
    card.look()
    card.read(SAMPLES - 1)
    assert card.has_stranger()
    card.read()
    assert not card.has_stranger()


def test_how_long_somebody_waits_beyond_that_is_drawn_by_lot_each_time() -> None:
    lots, at = [3, 0], 0.0
    watched = Watched(OURS, lambda: lots[0])
    for patience in (3, 0):
        watched.see(Look(at, at, {}), [tenant(uid=HIS)])
        watched.see(Look(at, at, {}), [])
        lots.pop(0)
        lots.append(9)
        for _ in range(SAMPLES + patience):
            assert watched.has_stranger(at)
            at += EVERY_S
            watched.add(at, 0)
        assert not watched.has_stranger(at)
        assert len(watched.utilization(at)) == SAMPLES


def test_readings_of_a_minute_later_do_not_call_him_back(card: Card) -> None:
    card.look(tenant(uid=HIS))
    card.look()
    card.now += 60
    card.watched.begin_anew(card.now)
    card.now += SETTLES_S
    card.read()
    assert not card.has_stranger()


def test_memory_that_comes_or_goes_is_a_stranger_s_where_nobody_can_be_seen(card: Card) -> None:
    for used in (GIB + CHANGED_BYTES, GIB):
        card.read(SAMPLES)
        assert not card.has_stranger()
        card.read(used=used)
        assert card.has_stranger()
        card.look()
        assert card.has_stranger(), "a container shows nobody"
        card.read(SAMPLES - 1)
        assert card.has_stranger()
        card.read()
        assert not card.has_stranger()


def test_memory_of_this_user_s_own_processes_is_no_stranger_s(card: Card) -> None:
    card.read(SAMPLES)
    card.read(used=2 * GIB)
    assert card.has_stranger(), "nobody has looked yet"
    assert card.watched.wants_look(card.now)
    card.look(tenant())
    assert not card.has_stranger()
    assert not card.watched.wants_look(card.now)
    card.read(used=GIB)
    card.look()
    assert not card.has_stranger(), "it went with the process that the look before had seen"


def test_a_look_from_before_explains_nothing(card: Card) -> None:
    card.read(SAMPLES)
    before = card.now
    card.read(used=2 * GIB)
    card.watched.see(Look(before, card.now, {}), [tenant()])
    assert card.has_stranger()


def test_memory_explains_no_process_of_a_stranger_away(card: Card) -> None:
    card.read(SAMPLES)
    card.look(tenant(uid=HIS), tenant())
    card.read(used=2 * GIB)
    card.look(tenant())
    assert card.has_stranger()


def test_what_changes_a_little_or_after_long_is_nobody(card: Card) -> None:
    card.read(SAMPLES)
    card.read(used=GIB + CHANGED_BYTES - 1)
    assert not card.has_stranger()
    card.now += WINDOW_S + 1
    card.read(used=40 * GIB)
    assert not card.has_stranger()


def test_memory_that_came_right_after_a_reading_is_seen_all_the_same(card: Card) -> None:
    card.read(SAMPLES)
    card.watched.add_memory(card.now + 0.01, 2 * GIB)
    assert card.has_stranger()


def test_memory_that_comes_in_small_pieces_one_soon_after_the_other_is_seen(card: Card) -> None:
    card.read(SAMPLES)
    for piece in range(1, 5):
        card.watched.add_memory(card.now + 0.04 * piece, GIB + piece * CHANGED_BYTES // 4)
    assert card.has_stranger()


def test_a_card_on_which_nobody_can_be_is_judged_by_one_reading(card: Card) -> None:
    card.watched.begin_anew(card.now)
    card.read(used=CHANGED_BYTES, percent=90)
    assert not card.watched.is_complete(card.now)
    card.read(used=CHANGED_BYTES - 1, percent=90)
    assert card.watched.is_complete(card.now)
    assert card.watched.utilization(card.now) == (0,), "what the gauge still shows was ours"
    assert not card.watched.is_complete(card.now + WINDOW_S + 0.01)
    card.now += SETTLES_S
    card.read(SAMPLES, percent=90)
    assert max(card.watched.utilization(card.now)) == 90, "a gauge that goes on is believed"


def test_what_our_own_task_did_says_nothing(card: Card) -> None:
    card.read(SAMPLES, used=40 * GIB, percent=100)
    card.watched.begin_anew(card.now)
    assert not card.watched.is_complete(card.now)
    card.watched.add(card.now - 0.01, 100)
    card.watched.add_memory(card.now - 0.01, 0)
    assert not card.watched.is_complete(card.now), "that was asked before"
    card.read(percent=100)
    card.used = GIB
    card.watched.add_memory(card.now + 0.2, GIB)
    assert not card.has_stranger(), "its memory goes with it"
    card.now += SETTLES_S - 2 * EVERY_S
    card.read(SAMPLES, used=GIB)
    assert card.watched.utilization(card.now) == (0,) * SAMPLES
    assert not card.has_stranger()
    card.watched.begin_anew(card.now)
    card.read(used=GIB)
    card.read(used=2 * GIB)
    assert card.has_stranger(), "what comes is not its"


def test_what_is_there_when_our_task_has_left_is_looked_at_and_what_goes_later_was_not_its(card: Card) -> None:
    card.read(SAMPLES, used=0)
    card.watched.begin_anew(card.now)
    card.read(used=CHANGED_BYTES - 1)
    assert not card.watched.wants_look(card.now)
    card.watched.begin_anew(card.now)
    card.read(used=10 * GIB)
    assert card.watched.wants_look(card.now)
    card.look()
    assert not card.watched.wants_look(card.now)
    card.read(3, percent=100)
    assert card.watched.utilization(card.now) == (), "the gauge still shows what was ours"
    card.read(used=0)
    assert card.has_stranger()


def test_a_list_that_cannot_be_read_leaves_what_memory_tells(card: Card) -> None:
    card.read(SAMPLES)
    card.look()
    card.watched.see(Look(card.now, card.now, None), None)
    card.read(SAMPLES)
    assert not card.has_stranger()
    card.read(used=2 * GIB)
    assert card.has_stranger()


@pytest.mark.parametrize("left_bytes", [0, 40 * GIB - CHANGED_BYTES])
def test_who_was_there_when_the_list_ceased_to_come_stays_until_his_memory_goes(card: Card, left_bytes: int) -> None:
    card.read(SAMPLES, used=40 * GIB)
    card.look(tenant(uid=HIS), tenant())
    card.watched.see(Look(card.now, card.now, None), None)
    card.read(5 * SAMPLES)
    assert (card.has_stranger(), card.watched.keeps_python) == (True, True), "a driver that hangs makes nobody leave"
    card.read(used=left_bytes)
    card.read(SAMPLES - 1)
    assert (card.has_stranger(), card.watched.keeps_python) == (True, False)
    card.read()
    assert not card.has_stranger()


def test_a_list_that_comes_again_counts_at_once(card: Card) -> None:
    card.read(SAMPLES, used=40 * GIB)
    card.look(tenant())
    card.watched.see(Look(card.now, card.now, None), None)
    card.look()
    card.read(used=10 * GIB)
    assert not card.watched.keeps_python
