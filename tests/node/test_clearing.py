"""A task whose GPU has a keep-alive worker on it: it waits for the end of that, and not for ever."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gpu_queue.agent.fillers import CLEAR_WITHIN_S
from gpu_queue.agent.stages import Clearing
from gpu_queue.gpus.leases import UNTOLD
from gpu_queue.task import Why
from tests.node.harness import Node, Room

ON_A_GPU = "#GPUQ --gpus 1"


@pytest.fixture
def node(room: Room) -> Node:
    return room.start(gpus="1")


@pytest.fixture
def place(node: Node) -> Iterator[int]:
    """Another agent's worker sits on the GPU until this is closed."""
    (uuid,) = node.around.gpu_uuids
    descriptor = node.around.leases.lock_filler(uuid, UNTOLD)
    assert descriptor is not None
    yield descriptor
    os.close(descriptor)


def stages_of(node: Node) -> list[type]:
    return [type(one.stage) for one in node.agent.tries.live.values()]


def test_a_task_starts_when_the_worker_has_gone(room: Room, node: Node) -> None:
    (uuid,) = node.around.gpu_uuids
    place = node.around.leases.lock_filler(uuid, UNTOLD)
    assert place is not None
    task = room.submit(room.script(head=ON_A_GPU))
    node.go_on(5)
    assert stages_of(node) == [Clearing]
    os.close(place)
    node.settle_all()
    assert room.runs(task) == 1
    assert not any("starts all the same" in line for line in node.said)


@pytest.mark.usefixtures("place")
def test_a_task_that_waited_in_vain_starts_all_the_same_and_says_so(room: Room, node: Node) -> None:
    task = room.submit(room.script(head=ON_A_GPU))
    node.go_on(int(CLEAR_WITHIN_S) - 2)
    assert room.runs(task) == 0
    node.settle_all()
    assert room.runs(task) == 1
    assert any("starts all the same" in line for line in node.said)


@pytest.mark.usefixtures("place")
def test_a_task_waits_its_own_time_whoever_waited_before_it(room: Room, node: Node) -> None:
    room.submit(room.script(head=ON_A_GPU))
    node.go_on(3)
    (one,) = node.agent.tries.live.values()
    node.agent.tries.stop(one, Why.STOPPED, room.now, 0.0)
    node.settle_all()
    room.now += 10 * CLEAR_WITHIN_S
    task = room.submit(room.script(head=ON_A_GPU))
    node.go_on(5)
    assert stages_of(node) == [Clearing]
    assert room.runs(task) == 0
