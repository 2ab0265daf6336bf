"""Scripts of a shared server that do not begin, although their shims were told to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_queue.agent import preparing
from gpu_queue.execution.local import TryDirectory
from gpu_queue.scheduling.plan import Start
from gpu_queue.sharing import Mode
from tests.agent.harness import wait_until
from tests.node.harness import AT_ONCE, Node, Room


def a_task_that_was_told_to_begin(room: Room, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, str]:
    monkeypatch.setattr(TryDirectory, "has_begun", lambda _: False)
    task = room.submit(room.script("sleep 60", head="#GPUQ --gpus 1"))
    (room.root / "paused").touch()
    node = room.start(replace(AT_ONCE, mode=mode), gpus="1")
    node.go_on(2)
    (waiting,) = node.agent.looking.view.waiting
    assert node.agent.tries.start(Start(waiting, tuple(node.around.gpu_uuids)), room.now)

    def runs() -> bool:
        node.step(0.1)
        return any(one.is_running for one in node.agent.tries.live.values())

    wait_until(runs, "its shim")
    return node, task


def test_a_script_that_has_not_begun_in_time_goes_back_and_its_gpu_is_free(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, task = a_task_that_was_told_to_begin(room, Mode.SHARED, monkeypatch)
    node.step(preparing.BEGINS_WITHIN_S - 5)
    assert not [one for one in node.agent.tries.live.values() if one.why is not None]

    def is_back() -> bool:
        node.step(0.5)
        return room.where(task) == ["pending"]

    node.step(5.0)
    wait_until(is_back, "the task to be back")
    assert node.agent.tries.holdings.gpus() == {}
    assert any("its script did not begin; it is ended, and goes back" in said for said in node.said)
    assert "rests" in str(node.reasons()) or node.agent.tries.rests.until


def test_where_the_gpus_are_this_users_alone_nobody_asks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    node, task = a_task_that_was_told_to_begin(room, Mode.DEDICATED, monkeypatch)
    for _ in range(3):
        node.step(preparing.BEGINS_WITHIN_S)
    assert room.where(task) == ["running/n1"]
