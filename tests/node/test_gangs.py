"""Tasks over several nodes, by agents that are stepped by hand."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from tests.node.harness import AT_ONCE, Node, Room

ONE, TWO, THREE = "n1-aaaaaaaa", "n2-bbbbbbbb", "n3-cccccccc"
QUICK = replace(AT_ONCE, beat_s=3.0, takeover_after_s=60.0, fence_after_s=40.0, cache_s=0.0)


def go_on_until(condition: Callable[[], object], *nodes: Node, seconds: float = 0.25) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "\n".join(
            line for node in nodes for line in (node.spool.node, *node.said)
        )
        for node in nodes:
            node.step(seconds)
        time.sleep(0.005)  # scripts run meanwhile


def told(room: Room, task: str, rank: int) -> str:
    path = room.root / "logs" / (f"{task}.rank{rank}.log" if rank else f"{task}.log")
    return path.read_text() if path.exists() else ""


def test_a_script_starts_once_on_each_of_two_nodes(room: Room) -> None:
    one, two = room.start(QUICK, name=ONE, gpus="1"), room.start(QUICK, name=TWO, gpus="1")
    task = room.submit(
        room.script('echo "rank $NODE_RANK of $NNODES at $MASTER_ADDR:$MASTER_PORT"'), gpus="1", nodes="2"
    )
    go_on_until(lambda: room.where(task) == ["done"], one, two)
    go_on_until(lambda: not os.listdir(room.paths.gangs), one, two)
    assert room.runs(task) == 2
    meeting = [line for rank in (0, 1) for line in told(room, task, rank).splitlines() if line.startswith("rank")]
    assert [line.split(" at ")[0] for line in meeting] == ["rank 0 of 2", "rank 1 of 2"]
    assert meeting[0].split(" at ")[1] == meeting[1].split(" at ")[1]
