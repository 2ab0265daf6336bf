"""What an agent counts of its GPUs' time."""

from __future__ import annotations

import os
from pathlib import Path

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
    (line,) = node.agent.fillers.ledger.lines()
    assert line.uuid == idle
    assert line.seconds[Kind.IDLE] > 0


def test_a_ledger_that_cannot_be_read_is_not_taken_for_an_empty_one(room: Room) -> None:
    node = room.start()
    kept = node.spool.kept
    assert kept.ledger_before() == ""
    kept.write_ledger("what was counted\n")
    assert kept.ledger_before() == "what was counted\n"
    path = Path(room.paths.ledger("n1"))
    path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.with_suffix(".aside"))
    assert kept.ledger_before() is None, "it would be written anew, without what was counted"
