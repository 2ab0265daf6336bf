"""Shims that somebody stops with SIGSTOP: a script may do it to its own."""

from __future__ import annotations

import os
import signal

import pytest

from gpu_queue.execution.processes import read_process
from tests.agent.harness import wait_until
from tests.node.harness import Node, Room


def on_until(node: Node, room: Room, task: str, where: str, step_s: float = 0.05) -> None:
    def there() -> bool:
        node.step(step_s)
        return room.where(task) == [where]

    wait_until(there, f"the task in {where}: {node.said}")


@pytest.mark.parametrize(("end", "where"), [("exit 0", "done"), ("exit 3", "failed"), ("sleep 0.3; exit 0", "done")])
def test_a_script_that_stops_its_shim_ends_all_the_same(room: Room, end: str, where: str) -> None:
    node = room.start()
    task = room.submit(room.script(f"kill -STOP $PPID; {end}", head="#GPUQ --gpus 1"))
    on_until(node, room, task, where)
    assert any("its shim was stopped; it is continued" in said for said in node.said)
    assert room.runs(task) == 1
    assert node.agent.tries.holdings.gpus() == {}


def test_a_shim_that_was_stopped_while_no_agent_was_there_is_continued_by_the_next(room: Room) -> None:
    first = room.start()
    task = room.submit(room.script("sleep 0.5; exit 0", head="#GPUQ --gpus 1"))

    def began() -> bool:
        first.step(0.05)
        return room.runs(task) == 1

    wait_until(began, "its start")
    (one,) = first.agent.tries.live.values()
    assert one.pid is not None
    pid = one.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: (row := read_process(pid)) and row.state == "T", "the stop")
    first.die()
    second = room.start()
    on_until(second, room, task, "done")
    assert any("its shim was stopped; it is continued" in said for said in second.said)
    assert room.runs(task) == 1


def test_a_shim_that_is_stopped_again_and_again_is_given_up_and_its_gpus_are_free(room: Room) -> None:
    node = room.start()
    script = room.script("while kill -STOP $PPID; do sleep 0.01; done", head="#GPUQ --gpus 1")
    task = room.submit(script)
    on_until(node, room, task, "failed")
    assert room.runs(task) == 3, "each was lost with its shim"
    assert node.agent.tries.holdings.gpus() == {}
    assert "lost: 3 tries were lost with their shim or node" in room.log(task)
