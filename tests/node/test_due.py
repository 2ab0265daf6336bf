"""The loop sleeps until something is due: what has happened is acted upon at once, not at the next look."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from gpu_queue.agent.cards import FOREIGN_TICK_S
from gpu_queue.agent.commands import LOOK_AFTER_S
from gpu_queue.config import Keepalive
from gpu_queue.execution import sweep
from gpu_queue.gpus.simulated import STATE_FILE_VARIABLE
from gpu_queue.node.side import NodeSide
from gpu_queue.spool.pages import KeepPage, NodePage, read_page
from tests.node.harness import AT_ONCE, Node, Room

ON_A_GPU = "#GPUQ --gpus 1"
HOLDS = replace(AT_ONCE, keepalive=Keepalive(enabled=True))
MOMENT_S = 0.001


def wait_s(node: Node) -> float:
    """How long its loop would sleep now."""
    return node.agent.wait_s(node.room.now)


def moments(node: Node, steps: int = 2) -> None:
    """Steps within which nothing becomes due by itself: a look is handed in by one and known in the next."""
    for _ in range(steps):
        node.step(MOMENT_S)


def at_rest(room: Room, **more: object) -> Node:
    """An agent that has looked a moment ago, and has nothing to do until the next look."""
    node = room.start(**more)  # type: ignore[arg-type]
    node.go_on(30)
    moments(node, 3)
    assert wait_s(node) > 0.1
    return node


def told(node: Node) -> NodePage:
    """What its node file says, as it was written without being asked for."""
    return read_page(node.room.paths.node_json(node.spool.node), node.spool.node)


def flag(node: Node, name: str, content: str) -> None:
    """Somebody says ``paused`` or the like, and a file event tells of it."""
    path = Path(node.room.paths.flag(name))
    path.write_text(content)
    node.agent.hint(str(path.parent), path.name, True)
    moments(node)


# -- what was freed, and what was taken ---------------------------------------------------------------------------


def test_a_gpu_that_becomes_free_goes_to_the_next_task_in_the_same_step(room: Room) -> None:
    os.mkfifo(room.base / "gate")
    first = room.submit(room.script(f'read line <"{room.base}/gate"; exit 0', head=ON_A_GPU))
    second = room.submit(room.script(head=ON_A_GPU))
    node = room.start(gpus="1")
    for _ in range(5):
        node.step()
    moments(node, 3)
    assert [room.where(task) for task in (first, second)] == [["running/n1"], ["pending"]]
    (one,) = node.agent.tries.live.values()
    assert one.pid is not None
    (room.base / "gate").write_text("go\n")
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    began = room.now
    while one.holds_gpus:
        moments(node, 1)
    assert room.now - began < 0.5, "no look was made since"
    assert room.where(second) == ["running/n1"]


def test_a_lease_of_another_agent_is_seen_at_once(room: Room) -> None:
    node = at_rest(room, gpus="2")
    uuid = sorted(node.around.gpu_uuids)[0]
    other = node.around.home.try_directory("500-another.try1.abcdef")
    other.create()
    lock = other.lock()
    assert node.around.leases.take([uuid], other.path)
    node.agent.hint(node.around.leases.directory, uuid, True)
    assert wait_s(node) == 0.0
    moments(node, 1)
    assert set(node.agent.cards.leased_elsewhere) == {uuid}
    os.close(lock)


def test_a_lease_of_our_own_is_no_news(room: Room) -> None:
    node = room.start(gpus="1")
    room.submit(room.script("exec sleep 600", head=ON_A_GPU))
    for _ in range(12):
        node.step()
    moments(node, 3)
    (uuid,) = node.around.gpu_uuids
    before = wait_s(node)
    node.agent.hint(node.around.leases.directory, uuid, True)
    assert wait_s(node) == before > 0.0


def test_a_gpu_that_a_stranger_leaves_is_given_within_a_moment(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    state = room.base / "cards.json"
    state.write_text(json.dumps({"0": {"used": "10G"}}))
    monkeypatch.setenv(STATE_FILE_VARIABLE, str(state))
    node = at_rest(room, gpus="1")
    task = room.submit(room.script(head=ON_A_GPU))
    node.step()
    moments(node)
    assert room.where(task) == ["pending"]
    assert wait_s(node) <= FOREIGN_TICK_S
    state.write_text("{}")
    node.step(FOREIGN_TICK_S)
    assert room.where(task) == ["running/n1"]


# -- what people say ----------------------------------------------------------------------------------------------


def test_a_file_at_the_top_of_the_spool_is_obeyed_and_told_at_its_event_however_often_it_changes(room: Room) -> None:
    node = at_rest(room)
    for who in ("alice", "bob", "carol"):  # one of them might come when a look there is due anyway
        flag(node, "paused", who)
        node.step(0.2)
        reason = told(node).reason
        assert reason is not None
        assert who in str(reason)


def test_the_keep_alive_is_switched_off_at_the_event_and_names_the_last_who_did(room: Room) -> None:
    Path(room.paths.flag("keepalive-off")).write_text("")
    node = at_rest(room, settings=HOLDS)
    (gpu, *_) = node.agent.cards.everything

    def keeps() -> KeepPage:
        page = node.agent.fillers.page(gpu)
        assert page is not None
        return page

    for who in ("alice", "bob"):
        flag(node, "keepalive-off", who)
        node.step(0.2)
        assert keeps().reason == f"switched off by {who}"
        assert {one.keepalive for one in told(node).gpus} == {keeps()}
    node.agent.was_terminated = True
    moments(node)
    assert keeps().reason == "the agent is about to end"


def test_a_sweep_that_hangs_with_a_process_is_looked_at_until_it_is_done(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = Event()

    def hangs(_: int) -> dict[int, sweep.Facts]:
        assert goes_on.wait(20)
        return {}  # nothing of what other tests have started

    monkeypatch.setattr(sweep, "read_facts", hangs)
    node = at_rest(room, settings=replace(AT_ONCE, sweep="gpus"))
    command = {"protocol": 1, "nonce": "abcdefabcdef", "command": "sweep", "from": "alice@login1"}
    path = Path(room.paths.control, "20260101T000000000-abcdefabcdef.json")
    path.write_text(json.dumps({**command, "to": [f"n1/{node.around.incarnation}"]}))
    node.agent.hint(str(path.parent), path.name, True)
    moments(node, 4)
    assert 0.0 < wait_s(node) <= LOOK_AFTER_S
    goes_on.set()
    node.step()
    moments(node)
    assert [name for name in room.listing("control") if name.endswith(".ack")]


# -- the node file ------------------------------------------------------------------------------------------------


def test_a_node_at_rest_writes_its_file_at_the_beat_alone(room: Room) -> None:
    node = at_rest(room)
    node.page()
    path = room.paths.node_json("n1")
    written = os.stat(path).st_mtime_ns
    node.go_on(20)
    assert os.stat(path).st_mtime_ns == written
    node.go_on(12)
    assert os.stat(path).st_mtime_ns > written


def test_storage_that_cannot_be_looked_at_is_told_in_the_node_file_and_so_is_its_end(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = at_rest(room)

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(NodeSide, "look", fails)
        for _ in range(4):
            node.step()
    assert "could not be looked at" in " ".join(told(node).problems)
    for _ in range(4):
        node.step()
    assert told(node).problems == ()


# -- dead tries ---------------------------------------------------------------------------------------------------


def test_what_a_dead_try_of_this_machine_left_is_looked_at_until_it_has_ended(room: Room) -> None:
    stubborn = room.script("trap '' TERM; while :; do sleep 600; done")
    node = room.start(name="old-11112222", machine="one")
    task = room.submit(stubborn)
    while not room.runs(task):
        node.step(0.01)
    (one,) = node.agent.tries.live.values()
    assert one.pid is not None
    os.kill(one.pid, signal.SIGKILL)  # the shim alone: its script goes on
    os.waitpid(one.pid, 0)
    one.pid = None
    node.die()
    again = room.start(name="new-11112222", machine="one")
    waits = []
    for _ in range(60):
        again.step(0.5)
        waits.append(wait_s(again))
        if room.where(task) != ["running/old-11112222"]:
            break
    assert room.where(task) != ["running/old-11112222"]
    assert sum(0.0 < one < 0.11 for one in waits) >= 5, waits
