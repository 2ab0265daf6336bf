"""What an agent counts of its GPUs' time."""

from __future__ import annotations

import os

from gpu_queue.gpus.leases import UNTOLD
from gpu_queue.keepalive.ledger import Kind
from tests.node.harness import Room


def test_what_another_agent_has_is_counted_by_that_one_alone(room: Room) -> None:
    node = room.start(gpus="2")
    held, idle = sorted(node.around.gpu_uuids)
    place = node.around.leases.lock_filler(held, UNTOLD)
    assert place is not None
    node.go_on(5)
    os.close(place)
    (line,) = node.agent.keeping.ledger.lines()
    assert line.uuid == idle
    assert line.seconds[Kind.IDLE] > 0
