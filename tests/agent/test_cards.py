"""What a policy is told of the node's GPUs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent.cards import Cards
from gpu_queue.gpus.devices import Gpu, Readings
from gpu_queue.gpus.leases import Footprint, Lease
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.scheduling.admission import Card, Reserved

GIB = 1 << 30


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def devices(state: Path) -> Readings:
    return SimulatedDevices(2, 80 * GIB, str(state))


def uuid_of(index: int, devices: Readings) -> str:
    return devices.snapshot()[index].uuid


def first(cards: Cards, now: float, ours: dict[str, int | None] | None = None) -> Card:
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


def test_utilisation_is_that_of_the_last_seconds_oldest_first(devices: Readings, state: Path) -> None:
    cards = Cards(devices, frozenset({uuid_of(0, devices)}))
    for second in range(30):
        state.write_text(json.dumps({"0": {"utilization": second}}))
        for part in (0.0, 0.1, 0.2):  # readings closer together than the driver's own are one
            cards.read(second + part)
    assert first(cards, 29.3).utilization_percent == tuple(range(20, 30))


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
    cards.note_leases({uuid: Lease("/x", 4 * GIB), "GPU-else": Lease("/y", None)}, ours=set())
    assert first(cards, 0.0).reserved == (Reserved(4 * GIB, is_ours=False),)
    cards.note_leases({uuid: Lease("/x", None)}, ours={uuid})
    assert first(cards, 0.0, {uuid: None}).reserved == (Reserved(None),)


def test_a_card_that_is_lost_is_not_taken_for_an_empty_one(devices: Readings, state: Path) -> None:
    state.write_text(json.dumps({"0": {"lost": True}}))
    card = first(Cards(devices, frozenset({uuid_of(0, devices)})), 0.0)
    assert (card.is_lost, card.is_known, card.memory_free_bytes) == (True, False, None)
