"""What tasks are told of the keep-alive, and what is counted of it; with GPUs and a clock that the tests play."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent.cards import Cards
from gpu_queue.agent.fillers import CLEAR_WITHIN_S, Fillers, rules_of
from gpu_queue.config import Keepalive, Settings
from gpu_queue.gpus.devices import ComputeMode, Gpu
from gpu_queue.gpus.leases import Footprint, Leases
from gpu_queue.gpus.simulated import SimulatedDevices
from gpu_queue.keepalive.supervisor import Host
from tests.gpus.gpu_builders import a_gpu


class OneGpu(SimulatedDevices):
    """A node with one GPU."""

    def __init__(self) -> None:
        self.gpu = a_gpu(0)
        super().__init__(1, self.gpu.memory_total_bytes or 0)

    def snapshot(self) -> tuple[Gpu, ...]:
        return (self.gpu,)


class Node:
    """The keep-alive of an agent on that node, and what it said."""

    def __init__(self, base: Path) -> None:
        self.said: list[str] = []
        self.devices = OneGpu()
        self.uuid = self.devices.gpu.uuid
        self.leases = Leases(str(base))
        self.cards = Cards(self.devices, frozenset([self.uuid]))
        host = Host(lambda _: 0, self.leases, self.said.append, lambda engine: engine)
        self.fillers = Fillers(
            host, self.cards, self.leases, frozenset([self.uuid]), Settings(), "", self.said.append
        )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    one = Node(tmp_path)
    yield one
    one.fillers.close()


@pytest.mark.parametrize(
    ("mode", "starts"), [(None, True), (ComputeMode.DEFAULT, True), (ComputeMode.EXCLUSIVE_PROCESS, False)]
)
def test_a_task_never_starts_beside_a_worker_that_would_keep_it_out(
    node: Node, mode: ComputeMode | None, starts: bool
) -> None:
    node.devices.gpu = replace(node.devices.gpu, compute_mode=mode)
    node.cards.read(0.0)
    place = node.leases.lock_filler(node.uuid, Footprint(0, 0))
    assert place is not None
    assert not node.fillers.are_clear((node.uuid,), 0.0, CLEAR_WITHIN_S - 1)
    for _ in range(3):
        assert node.fillers.are_clear((node.uuid,), 0.0, CLEAR_WITHIN_S + 1) is starts
    waits = [line for line in node.said if "waits for the keep-alive to end" in line]
    assert len(waits) == (0 if starts else 1)
    os.close(place)
    assert node.fillers.are_clear((node.uuid,), 0.0, CLEAR_WITHIN_S + 2)


def test_the_rules_follow_the_settings() -> None:
    rules = rules_of(Settings(sweep="gpus", foreign_memory_bytes=7))
    assert (rules.quiet_s, rules.foreign_bytes, rules.is_dedicated) == (60.0, 7, True)


@pytest.mark.parametrize(("sweep", "is_held"), [("off", False), ("gpus", True), ("all", True)])
def test_what_a_task_leaves_idle_is_held_where_the_node_is_ours_alone(sweep: str, is_held: bool) -> None:
    assert rules_of(Settings(sweep=sweep)).hold_leased is is_held
    assert not rules_of(Settings(sweep=sweep, keepalive=Keepalive(hold_leased="off"))).hold_leased
