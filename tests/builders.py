"""Facts for tests, in few words."""

from __future__ import annotations

from gpu_queue.scheduling.admission import Card, Reserved
from gpu_queue.scheduling.facts import Facts, Phase
from gpu_queue.states import GpuState
from gpu_queue.task import Needs, Waiting

GIB = 1 << 30


def a_card(index: int = 0, state: GpuState = GpuState.IDLE) -> Card:
    """A GPU that the policy of dedicated nodes finds to be in this state."""
    others_bytes = 2 * GIB if state is GpuState.FOREIGN else 0
    return Card(
        f"GPU-{index}",
        index,
        80 * GIB,
        None if state is GpuState.UNKNOWN else others_bytes,
        others_bytes=others_bytes,
        reserved=(Reserved(),) if state is GpuState.BUSY else (),
        is_lost=state is GpuState.LOST,
    )


def gpus(count: int) -> list[Card]:
    return [a_card(index) for index in range(count)]


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


def a_node(cards: list[Card], *tasks: Waiting) -> Facts:
    return Facts(
        now=0.0,
        server_now=1.0,
        phase=Phase.SERVING,
        gpus=cards,
        waiting=sorted(tasks, key=lambda task: task.key),
    )
