"""Facts for tests, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpu_queue.scheduling.admission import Card, Reserved, Terms, shared
from gpu_queue.scheduling.facts import Facts, Phase
from gpu_queue.scheduling.order import in_turn
from gpu_queue.sharing import Sharing
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


def a_shared_card(index: int = 0, free_gib: float = 80, **more: Any) -> Card:
    """A GPU of a shared server on which nobody computes."""
    known = {"utilization_percent": (0, 0), "has_user_python": False, **more}
    free_bytes = int(free_gib * GIB)
    return Card(f"GPU-{index}", index, 80 * GIB, 80 * GIB - free_bytes, free_bytes, **known)


def a_shared_node(cards: Sequence[Card], *tasks: Waiting, lottery: str = "", **sharing: Any) -> Facts:
    """A node that is shared with other people, and what waits, in the order in which it has its turn."""
    waiting = in_turn(sorted(tasks, key=lambda task: task.key), lottery)
    terms = Terms(GIB, Sharing(**sharing))
    return replace(a_node(list(cards)), waiting=waiting, policy=shared, terms=terms)
