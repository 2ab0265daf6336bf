"""What a policy is told of the node's GPUs."""

from __future__ import annotations

import json
import os
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent.agenda import NEVER, Agenda, Duty
from gpu_queue.agent.cards import FOREIGN_TICK_S, OVERDUE_S, Cards
from gpu_queue.agent.lookout import Lookout
from gpu_queue.agent.tenants import Tenants
from gpu_queue.gpus.devices import Gpu, Readings
from gpu_queue.gpus.leases import Footprint, Lease, Room
from gpu_queue.gpus.processes import SimulatedProcesses
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.scheduling.admission import Card, Reserved
from gpu_queue.scheduling.tenancy import Look, Tenant
from gpu_queue.sharing import Sharing
from gpu_queue.states import GpuState

GIB = 1 << 30


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def devices(state: Path) -> Readings:
    return SimulatedDevices(2, 80 * GIB, str(state))


def uuid_of(index: int, devices: Readings) -> str:
    return devices.snapshot()[index].uuid


def first(cards: Cards, now: float, ours: dict[str, list[Lease]] | None = None) -> Card:
    return cards.facts(now, ours or {})[0]


def test_free_memory_is_what_the_driver_tells_and_else_what_is_not_used(devices: Readings, state: Path) -> None:
    state.write_text(json.dumps({"0": {"used": "30G"}}))
    served = frozenset({uuid_of(0, devices)})
    card = first(Cards(devices, served), 0.0)
    assert (card.memory_used_bytes, card.memory_free_bytes) == (30 * GIB, 50 * GIB)

    class Reserving(SimulatedDevices):
        def snapshot(self) -> tuple[Gpu, ...]:
            return tuple(replace(gpu, memory_free_bytes=49 * GIB) for gpu in super().snapshot())

    assert first(Cards(Reserving(2, 80 * GIB, str(state)), served), 0.0).memory_free_bytes == 49 * GIB


def test_what_the_keep_alive_holds_is_nobody_elses(devices: Readings, state: Path) -> None:
    state.write_text(json.dumps({"0": {"used": "50G"}}))
    uuid = uuid_of(0, devices)
    cards = Cards(devices, frozenset({uuid}))
    assert first(cards, 0.0).others_bytes == 50 * GIB
    cards.fillers = {uuid: Footprint(2 * GIB, 48 * GIB)}
    assert first(cards, 1.0).others_bytes == 2 * GIB


def test_who_holds_how_much_of_a_card_is_told(devices: Readings) -> None:
    uuid = uuid_of(0, devices)
    cards = Cards(devices, frozenset({uuid}))
    theirs, mine = Lease("/x/theirs", 4 * GIB), Lease("/x/mine", 8 * GIB)
    cards.note_leases({uuid: (theirs,), "GPU-else": (Lease("/y", None),)}, ours={})
    assert first(cards, 0.0).reserved == (Reserved(4 * GIB, is_ours=False, shown_bytes=0),)
    cards.note_leases({uuid: (Lease("/another/path/mine", 8 * GIB), theirs)}, ours={uuid: [mine]})
    assert first(cards, 0.0, {uuid: [mine]}).reserved == (Reserved(8 * GIB), Reserved(4 * GIB, is_ours=False))
    assert cards.counted_elsewhere == frozenset(), "one agent counts the time of a card"
    cards.note_leases({uuid: (theirs, Lease("/another/path/mine", 8 * GIB))}, ours={uuid: [mine]})
    assert cards.counted_elsewhere == {uuid}
    cards.note_leases({uuid: (Lease("/another/path/mine", None),)}, ours={uuid: [Lease("/x/mine", None)]})
    assert first(cards, 0.0, {uuid: [Lease("/x/mine", None)]}).reserved == (Reserved(None),)


def test_a_card_that_is_lost_is_not_taken_for_an_empty_one(devices: Readings, state: Path) -> None:
    state.write_text(json.dumps({"0": {"lost": True}}))
    card = first(Cards(devices, frozenset({uuid_of(0, devices)})), 0.0)
    assert (card.is_lost, card.is_known, card.memory_free_bytes) == (True, False, None)


# -- readings of this moment ----------------------------------------------------------------------------------------


class Slow(SimulatedDevices):
    """GPUs that are read when the test says so."""

    def __init__(self) -> None:
        super().__init__(2, 80 * GIB)
        self.times = {gpu.uuid: 0.0 for gpu in self.snapshot()}
        self.hurried: Set[str] = frozenset()
        self.watched: Set[str] = frozenset()
        self.sampled: Set[str] = frozenset()
        self.news: set[str] = set()

    def answer(self, uuid: str, asked_at: float) -> None:
        self.times[uuid] = asked_at
        if uuid in self.hurried | self.watched:
            self.news.add(uuid)

    def attend(self, watched: Set[str], hurried: Set[str], sampled: Set[str] = frozenset()) -> None:
        self.watched, self.hurried, self.sampled = watched, hurried, sampled

    def read_at(self, uuid: str) -> float:
        return self.times[uuid]

    def take_news(self) -> Set[str]:
        news, self.news = self.news, set()
        return news


def heard(cards: Cards, now: float = 0.0) -> set[Duty]:
    """What is wanted after the news."""
    agenda = Agenda()
    cards.hear(now, agenda)
    return {duty for duty in Duty if agenda.take(duty, now)}


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def uuids(slow: Slow) -> list[str]:
    return list(slow.times)


def test_a_reading_of_this_moment_is_taken_as_it_is(slow: Slow, uuids: list[str]) -> None:
    assert Cards(slow, frozenset(uuids)).demand(uuids, 0.05)
    assert not slow.hurried


def test_an_older_one_is_demanded_until_it_has_come(slow: Slow, uuids: list[str]) -> None:
    one, _ = uuids
    cards = Cards(slow, frozenset(uuids))
    assert not cards.demand([one], 0.2)
    assert slow.hurried == {one}
    slow.answer(one, 0.15)  # it was under way before
    assert heard(cards) == set()
    assert slow.hurried == {one}
    slow.answer(one, 0.21)
    assert heard(cards) == {Duty.PLAN}
    assert not slow.hurried
    assert cards.demand([one], 0.9), "an agent that is busy may come late to it"
    assert not cards.demand([one], 0.9), "once"


def test_an_answer_does_not_count_for_ever(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    cards.demand(uuids[:1], 0.2)
    slow.answer(uuids[0], 0.21)
    heard(cards)
    assert not cards.demand(uuids[:1], 1.3)


def test_a_card_that_does_not_answer_a_demand_is_not_known(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    cards.demand(uuids[:1], 1.0)
    assert [card.is_known for card in cards.facts(1.2, {})] == [True, True]
    assert [card.is_known for card in cards.facts(1.3, {})] == [False, True]
    slow.answer(uuids[0], 1.3)
    heard(cards)
    assert [card.is_known for card in cards.facts(1.4, {})] == [True, True]


def test_what_was_read_while_a_task_of_ours_held_a_card_is_read_again_at_once(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    slow.times = dict.fromkeys(uuids, 0.99)
    cards.facts(1.0, {uuids[1]: [Lease("/x", None)]})
    assert not slow.hurried
    cards.facts(1.0, {})
    assert slow.hurried == {uuids[1]}


def test_what_is_read_just_in_case_makes_nobody_plan_anew(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    cards.facts(1.0, {uuids[1]: [Lease("/x", None)]})
    cards.expects_tasks = True
    assert heard(cards, 1.0) == set()
    assert slow.hurried == {uuids[0]}, "the other one has a task"
    slow.answer(uuids[0], 1.01)
    assert heard(cards) == set()
    assert cards.demand(uuids[:1], 1.05)


def test_news_of_fillers_are_told_apart(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    cards.watch({uuids[0]}, {uuids[1]})
    assert (slow.watched, slow.hurried) == ({uuids[0]}, {uuids[1]})
    slow.answer(uuids[0], 0.1)
    assert heard(cards) == {Duty.KEEP}


def test_a_card_that_is_unknown_is_not_empty(devices: Readings, state: Path) -> None:
    uuid = uuid_of(0, devices)
    cards = Cards(devices, frozenset({uuid}))
    assert cards.is_empty(uuid, 0.0, GIB)
    state.write_text(json.dumps({"0": {"lost": True}}))
    assert not cards.is_empty(uuid, 1.0, GIB)


def test_a_card_that_others_use_is_looked_at_again_while_tasks_wait(slow: Slow, uuids: list[str]) -> None:
    one, other = uuids
    cards, agenda = Cards(slow, frozenset(uuids)), Agenda()
    cards.watch_foreign({one: GpuState.IDLE, other: GpuState.BUSY}, 1.0, agenda)
    assert (slow.hurried, agenda.at(Duty.PLAN)) == (frozenset(), NEVER)
    cards.watch_foreign({one: GpuState.FOREIGN, other: GpuState.IDLE}, 1.0, agenda)
    assert (slow.hurried, agenda.at(Duty.PLAN)) == ({one}, 1.0 + FOREIGN_TICK_S)
    slow.answer(one, 1.01)
    assert heard(cards) == {Duty.PLAN}
    cards.watch_foreign({one: GpuState.FOREIGN}, 1.02, agenda)
    assert not slow.hurried, "not before its turn, or plan and answer would chase each other"
    cards.watch_foreign({one: GpuState.FOREIGN}, 1.02 + FOREIGN_TICK_S, agenda)
    assert slow.hurried == {one}


def test_a_plan_by_an_old_reading_is_made_anew(slow: Slow, uuids: list[str]) -> None:
    cards, agenda = Cards(slow, frozenset(uuids)), Agenda()
    assert cards.may_be_given(uuids, 0.04, agenda)
    assert agenda.at(Duty.PLAN) == NEVER
    assert not cards.may_be_given(uuids[:1], 0.2, agenda)
    assert agenda.at(Duty.PLAN) == 0.2 + OVERDUE_S, "also where it does not answer"
    slow.answer(uuids[0], 0.21)
    assert heard(cards) == {Duty.PLAN}
    assert cards.may_be_given(uuids[:1], 0.3, agenda)


# -- parts of them --------------------------------------------------------------------------------------------------


class Seen(Lookout):
    """What a look has shown."""

    def __init__(self, found: Look) -> None:
        super().__init__(SimulatedProcesses(None), lambda: None)
        self.found = found

    def look(self, now: float, at_most_s: float) -> Look | None:
        return self.found

    def last(self, now: float) -> Look | None:
        return self.found


def seen(devices: Readings, uuid: str, *there: tuple[str | None, int]) -> Tenants:
    """Processes on a card, each with its claim and the GiB that it has."""
    some = tuple(
        Tenant(pid, pid, "python", os.geteuid(), size * GIB, claim)
        for pid, (claim, size) in enumerate(there, start=100)
    )
    lookout = Seen(Look(0.0, 0.0, {uuid: some}))
    tenants = Tenants(lookout, devices, frozenset({uuid}), Sharing, print)
    tenants.advance(0.0, Agenda())
    return tenants


def test_what_tries_have_taken_of_their_parts_is_told_and_what_there_is_beside(
    devices: Readings, state: Path
) -> None:
    uuid = uuid_of(0, devices)
    cards = Cards(devices, frozenset({uuid}))
    state.write_text(json.dumps({"0": {"used": "25G"}}))
    mine = {uuid: [Lease("/x/a", 30 * GIB), Lease("/x/b", 10 * GIB)]}
    cards.note_leases({uuid: (*mine[uuid], Lease("/x/c", 5 * GIB))}, mine)
    cards.tenants = seen(devices, uuid, ("a", 20), ("c", 5))
    assert first(cards, 1.0, mine).reserved == (
        Reserved(30 * GIB, shown_bytes=20 * GIB),
        Reserved(10 * GIB, shown_bytes=0),
        Reserved(5 * GIB, is_ours=False, shown_bytes=5 * GIB),
    )
    assert cards.rooms([uuid], 1.0) == {uuid: Room(55 * GIB, {"a": 20 * GIB, "b": 0, "c": 5 * GIB})}
    assert cards.taken(uuid) == {"a": 20 * GIB, "b": 0, "c": 5 * GIB}


def test_where_processes_cannot_be_told_a_try_that_is_alone_shows_by_what_the_card_grows(
    devices: Readings, state: Path
) -> None:
    uuid = uuid_of(0, devices)
    cards = Cards(devices, frozenset({uuid}))
    state.write_text(json.dumps({"0": {"used": "2G"}}))
    one, two = Lease("/x/a", 30 * GIB), Lease("/x/b", 10 * GIB)
    assert [part.shown_bytes for part in first(cards, 0.0, {uuid: [one]}).reserved] == [0]
    state.write_text(json.dumps({"0": {"used": "14G"}}))
    assert [part.shown_bytes for part in first(cards, 1.0, {uuid: [one]}).reserved] == [12 * GIB]
    assert [part.shown_bytes for part in first(cards, 2.0, {uuid: [one, two]}).reserved] == [None, None]
    assert cards.rooms([uuid], 2.0) == {uuid: Room(66 * GIB, {})}, "whose it is nobody knows: all is promised still"
    assert [part.shown_bytes for part in first(cards, 3.0, {uuid: [two]}).reserved] == [0]
    first(cards, 4.0)
    assert [part.shown_bytes for part in first(cards, 5.0, {uuid: [one]}).reserved] == [0], "it comes anew"


def test_there_is_no_room_on_a_card_that_is_unknown(devices: Readings, state: Path) -> None:
    uuid = uuid_of(0, devices)
    state.write_text(json.dumps({"0": {"lost": True}}))
    assert Cards(devices, frozenset({uuid})).rooms([uuid], 0.0) == {}


def test_what_a_keep_alive_has_is_free_for_a_task_for_which_it_leaves(devices: Readings, state: Path) -> None:
    uuid = uuid_of(0, devices)
    state.write_text(json.dumps({"0": {"used": "50G"}}))
    cards = Cards(devices, frozenset({uuid}))
    cards.fillers = {uuid: Footprint(2 * GIB, 48 * GIB)}
    assert first(cards, 0.0).memory_free_bytes == 78 * GIB
    assert cards.rooms([uuid], 0.0) == {uuid: Room(78 * GIB, {})}


def test_a_card_of_which_a_part_was_given_back_is_read_again_at_once(slow: Slow, uuids: list[str]) -> None:
    cards = Cards(slow, frozenset(uuids))
    slow.times = dict.fromkeys(uuids, 0.99)
    one, two = Lease("/x/a", GIB), Lease("/x/b", GIB)
    cards.facts(1.0, {uuids[1]: [one, two]})
    assert not slow.hurried
    cards.facts(1.0, {uuids[1]: [two]})
    assert slow.hurried == {uuids[1]}
