"""How often an agent lists directories on shared storage: counted, on a clock that the test moves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from gpu_queue.scheduling.cadence import Cadence
from tests.node.harness import AT_ONCE, NETWORK, Node, Room

USUAL = replace(AT_ONCE, poll_s=1.0, beat_s=30.0)
MINUTES = 10


@contextmanager
def counted(room: Room) -> Iterator[Counter[str]]:
    """Listings of the spool's directories, by the directory."""
    counts: Counter[str] = Counter()
    os.utime(f"{room.root}/queues", (0, 0))  # what is old by the clock that the test moves is so by the disk's too
    with pytest.MonkeyPatch.context() as patch:
        for function in (os.listdir, os.scandir):

            def listing(path: str, real: object = function) -> object:
                if str(path).startswith(str(room.root)):
                    counts[os.path.relpath(path, room.root)] += 1
                return real(path)  # type: ignore[operator]

            patch.setattr(os, function.__name__, listing)
        yield counts


def live(room: Room, *nodes: Node, minutes: float) -> None:
    """Let agents wake up when they want to, for so long."""
    end = room.now + minutes * 60
    due = {id(node): room.now for node in nodes}
    while room.now < end:
        for node in nodes:
            if due[id(node)] <= room.now:
                node.agent.step(room.now)
                due[id(node)] = room.now + max(0.001, node.agent.wait_s(room.now))
        room.now = max(room.now + 0.001, min(due.values()))


def a_second(counts: Counter[str], minutes: float) -> float:
    return sum(counts.values()) / (minutes * 60)


def test_an_idle_agent_makes_at_most_two_listings_a_second(room: Room) -> None:
    node = room.start(USUAL, name="n1-aaaaaaaa", mount=NETWORK)
    live(room, node, minutes=1)
    with counted(room) as counts:
        live(room, node, minutes=MINUTES)
    assert a_second(counts, MINUTES) <= 2.0, counts
    assert counts["pending"] >= 0.9 * MINUTES * 60, "what is submitted is seen within a second or two"
    assert counts["control"] >= MINUTES * 60 / 4
    assert counts["done"] == counts["failed"] == counts["records"] == counts["logs"] == 0


def test_beside_living_peers_an_idle_agent_lists_no_more_than_alone(room: Room) -> None:
    nodes = [room.start(USUAL, name=f"n{number}-{number:08x}", mount=NETWORK) for number in range(8)]
    live(room, *nodes, minutes=1)
    with counted(room) as counts:
        live(room, *nodes, minutes=MINUTES)
    assert a_second(counts, MINUTES) / len(nodes) <= 2.0, counts
    assert max(counts[f"running/n{number}-{number:08x}"] for number in range(8)) <= 60 * MINUTES / 4


def test_an_agent_whose_task_runs_looks_at_its_claims_every_two_seconds(room: Room) -> None:
    node = room.start(USUAL, name="n1-aaaaaaaa", mount=NETWORK)
    room.submit(room.script("exec sleep 600"))
    live(room, node, minutes=0.1)
    with counted(room) as counts:
        live(room, node, minutes=1)
    assert counts["running/n1-aaaaaaaa"] == pytest.approx(30, abs=3)
    assert a_second(counts, 1) <= 2.7, counts


def test_after_activity_it_looks_more_often_for_a_moment() -> None:
    cadence = Cadence(1.0)
    busy = [cadence.due(float(now), is_busy=True) for now in range(100)]
    idle = [cadence.due(float(now), is_busy=False) for now in range(100, 200)]
    for what, times, seconds in (("own", busy, 2), ("commands", busy, 2), ("own", idle, 5), ("commands", idle, 3)):
        assert sum(what in one for one in times) == pytest.approx(100 / seconds, abs=2), what


def test_what_somebody_asks_for_is_looked_at_at_once_and_the_other_nodes_at_their_own_pace() -> None:
    cadence = Cadence(1.0)
    assert cadence.due(0.0, is_busy=False) == {"own", "commands", "root", "peers"}
    assert cadence.due(0.1, is_busy=False) == frozenset()
    assert cadence.due(0.2, is_busy=False, everything=True) == {"own", "commands", "root"}
