"""Facts for tests, in few words."""

from __future__ import annotations

from gpu_queue.scheduling.facts import Facts, GpuFact, Phase
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, Waiting

GIB = 1 << 30


def gpus(count: int) -> list[GpuFact]:
    return [GpuFact(f"GPU-{index}", index, GpuState.IDLE, 80 * GIB) for index in range(count)]


def a_task(
    name: str, *, priority: int = 500, least: int = 1, most: int | None = None, needs: Needs | None = None
) -> Waiting:
    return Waiting(
        name,
        key=f"{priority:03d}-{name}",
        priority=priority,
        task_id=f"20260101T000000000-000000-{name}",
        is_read=True,
        needs=needs or Needs(least, least if most is None else most),
    )


def a_node(cards: list[GpuFact], *tasks: Waiting) -> Facts:
    return Facts(
        now=0.0,
        server_now=1.0,
        phase=Phase.SERVING,
        gpus=cards,
        waiting=sorted(tasks, key=lambda task: task.key),
    )
