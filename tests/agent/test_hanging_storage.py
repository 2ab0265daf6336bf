"""Shared storage that hangs in the middle of a call: the agent keeps its tasks, stops them, and can leave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent import agent as agent_module
from gpu_queue.agent import hanging
from gpu_queue.agent.agent import Agent
from gpu_queue.node.side import Look, LookRequest, NodeSide
from gpu_queue.node.storage import StorageThread
from tests.agent.harness import wait_until
from tests.node.harness import AT_ONCE, Room, a_spool


class Server:
    """Shared storage that answers, or does not."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with a_spool(tmp_path) as room:
        yield room


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    look = NodeSide.look

    def slow_look(spool: NodeSide, request: LookRequest) -> Look:
        server.answers.wait()
        return look(spool, request)

    monkeypatch.setattr(NodeSide, "look", slow_look)
    yield server
    server.answers.set()


def step_until(agent: Agent, condition: Callable[[], object], what: str) -> None:
    def done() -> bool:
        agent.step(time.monotonic())
        return bool(condition())

    wait_until(done, what)


def test_while_the_server_hangs_tasks_end_time_limits_hold_and_a_signal_is_answered(
    room: Room, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hanging, "SAID_AFTER_S", 0.2)
    monkeypatch.setattr(agent_module, "LEAVE_EXTRA_S", 0.5)
    limited = room.submit("#GPUQ --time 1s\nsleep 600\n", "limited.sh")
    endless = room.submit("sleep 600\n", "endless.sh")
    storage = StorageThread()
    node = room.start()
    agent = Agent(replace(node.around, storage=storage), AT_ONCE, time.monotonic())
    step_until(agent, lambda: sum(one.pid is not None for one in agent.tries.live.values()) == 2, "two running tasks")
    server.answers.clear()
    step_until(agent, lambda: any("has not answered" in line for line in node.said), "the word that it hangs")

    def over(task_id: str) -> bool:
        return all(one.end is not None for one in agent.tries.live.values() if one.claim.task_id == task_id)

    step_until(agent, lambda: over(limited), "the end of the task whose time is over")
    assert not over(endless)
    agent.was_terminated = True
    step_until(agent, lambda: over(endless), "the end of the other task")
    step_until(agent, lambda: agent.finished, "the agent's leaving")
    assert agent.forced_out
    server.answers.set()
    step_until(agent, lambda: storage.outstanding() == 0, "the storage's late answers")
    assert room.where(endless) == ["pending"]
    assert room.where(limited) == ["failed"]
