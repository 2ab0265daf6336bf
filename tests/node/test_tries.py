"""What becomes of a try beside its end: its history, what it leaves, how long a task or a node rests."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent.life import CLAIM_AGAIN_S
from gpu_queue.agent.rests import NODE_REST_S
from gpu_queue.gpus.leases import Leases
from gpu_queue.node.transitions import Claimed, NotClaimed
from gpu_queue.scheduling.admission import Reserved
from gpu_queue.scheduling.plan import Start
from gpu_queue.spool.pages import read_page
from gpu_queue.spool.store import Moved
from gpu_queue.task import Claim, State, Waiting
from tests.agent.harness import wait_until
from tests.execution.helpers import is_gone
from tests.node.harness import AT_ONCE, Fault, Node, Room, failing_renames

ON_A_GPU = "#GPUQ --gpus 1"


def history(room: Room, task: str, node: str = "n1") -> list[str]:
    lines = Path(room.paths.events(node)).read_text().splitlines()
    events = [json.loads(line) for line in lines if line]
    return [one["event"] for one in events if task in one.get("claim", "")]


def a_gate(room: Room) -> tuple[Path, str]:
    """Where a script waits, and the line that does."""
    path = room.base / "gate"
    os.mkfifo(path)
    return path, f'read line <"{path}"; exit 0'


def begin(node: Node, task: str) -> None:
    """Step until a task runs and is recorded."""

    def runs() -> bool:
        node.step(0.2)
        return bool(node.room.runs(task))

    wait_until(runs, "the task's line")
    for _ in range(5):
        node.step()


# -- the history --------------------------------------------------------------------------------------------------


def test_a_try_begins_and_ends_once_in_the_history_whether_it_is_short_or_long(room: Room) -> None:
    gate, waits = a_gate(room)
    short, long = room.submit(room.script()), room.submit(room.script(waits))
    node = room.start()
    begin(node, long)
    gate.write_text("go\n")
    node.settle_all()
    assert [history(room, task) for task in (short, long)] == [["started", "settled"]] * 2


def test_a_try_that_outlives_its_agent_begins_once_in_the_history(room: Room) -> None:
    gate, waits = a_gate(room)
    task = room.submit(room.script(waits))
    first = room.start()
    begin(first, task)
    first.die()
    second = room.start()
    second.step()
    second.step()
    gate.write_text("go\n")
    second.settle_all()
    assert history(room, task) == ["started", "settled"]


# -- what a try leaves --------------------------------------------------------------------------------------------


def test_what_a_script_left_without_its_environment_is_found_by_its_session_and_ended(room: Room) -> None:
    task = room.submit(room.script(f'env -i sleep 600 & echo $! >"{room.base}/bare"; exit 0'))
    node = room.start()
    node.settle_all()
    pid = int((room.base / "bare").read_text())
    try:
        assert room.where(task) == ["done"]
        wait_until(lambda: is_gone(pid), "the end of what was left")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


# -- rests --------------------------------------------------------------------------------------------------------


def test_a_hand_drop_that_cannot_be_claimed_rests_longer_each_time(room: Room) -> None:
    room.drop("x.sh", room.script())
    node = room.start()
    fault = Fault("running", is_done=False, error=errno.EIO, times=100)
    with failing_renames(room, fault):
        for _ in range(20):
            node.step()
    # At 0, 2, 6 and 14 seconds after the first, each when a look comes by.
    assert 2 <= fault.happened <= 4, CLAIM_AGAIN_S
    node.settle_all()
    assert len(room.listing("done")) == 1


def test_a_node_whose_own_disk_is_full_says_so_starts_nothing_for_a_minute_and_then_takes_it_back(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room.start(gpus="1")
    asked: list[float] = []
    real = Leases.take

    def take(leases: Leases, *more: object) -> bool:
        asked.append(room.now)
        if len(asked) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(leases, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Leases, "take", take)
    task = room.submit(room.script(head=ON_A_GPU))
    node.go_on(10)
    told = read_page(room.paths.node_json("n1"), "n1").problems
    assert "this node cannot start tasks ([Errno 28] No space left on device)" in " ".join(told)
    assert room.runs(task) == 0
    node.go_on(int(NODE_REST_S) + 5)
    assert room.where(task) == ["done"]
    first, second = asked
    assert second - first >= NODE_REST_S
    assert not node.page().problems


def test_a_node_that_has_rested_and_has_nothing_to_start_does_not_go_on_complaining(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room.start(gpus="1")
    with monkeypatch.context() as broken:
        broken.setattr(Leases, "take", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        room.submit(room.script(head=ON_A_GPU))
        node.go_on(10)
        assert node.page().problems
    for name in room.listing("pending"):
        os.unlink(f"{room.paths.directory(State.PENDING)}/{name}")
    node.go_on(int(NODE_REST_S) + 5)
    assert not node.page().problems


# -- several at once ----------------------------------------------------------------------------------------------


def test_a_task_whose_queue_another_node_has_taken_is_overtaken_by_none_of_that_queue(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other node may be done with the queue before the next look: whoever asks then would get it."""
    node = room.start(AT_ONCE)
    tasks = [room.submit(room.script(), queue="car") for _ in range(3)]
    real, asked = node.spool.transitions.claim, list[str]()

    def claim(waiting: Waiting, claim: Claim, *, to_run: bool = True) -> Claimed | NotClaimed:
        asked.append(claim.task_id)
        if len(asked) == 1:
            return NotClaimed(Moved.LOST, "queue car was taken meanwhile")
        return real(waiting, claim, to_run=to_run)

    monkeypatch.setattr(node.spool.transitions, "claim", claim)

    def are_done() -> bool:
        node.step(0.01)
        return len(room.listing("done")) == 3

    wait_until(are_done, "all in done")
    assert asked == [tasks[0], *tasks]


def test_commands_that_come_together_are_all_obeyed_and_answered(room: Room) -> None:
    head = "#GPUQ --gpus 9"
    tasks = [room.submit(room.script(head=head), name=f"{name}.sh") for name in ("one", "two")]
    node = room.start(replace(AT_ONCE, infeasible="wait"))
    node.go_on(3)
    for number, name in enumerate(("one", "two")):
        nonce = f"abcdef{number:06x}"
        command = {"protocol": 1, "nonce": nonce, "command": "stop", "names": [name], "from": "alice@login1"}
        command["to"] = [f"n1/{node.around.incarnation}"]
        (room.root / "control" / f"20260101T00000000{number}-{nonce}.json").write_text(json.dumps(command))
    node.go_on(6)
    assert [room.where(task) for task in tasks] == [["failed"]] * 2
    assert sum(name.endswith(".ack") for name in room.listing("control")) == 2


def test_what_a_plan_reserves_is_what_the_lease_says_and_what_other_plans_are_told(room: Room) -> None:
    task = room.submit(room.script("sleep 60", head="#GPUQ --gpus 1"))
    (room.root / "paused").touch()
    node = room.start(gpus="1")
    node.go_on(2)
    (uuid,) = node.around.gpu_uuids
    (waiting,) = node.agent.looking.view.waiting
    assert waiting.task_id == task
    rooms = node.agent.cards.rooms([uuid], room.now)
    assert node.agent.tries.start(Start(waiting, (uuid,), 4 << 30), room.now, rooms)
    leases, _ = node.around.leases.look()
    (lease,) = leases[uuid]
    assert lease.reserve_bytes == 4 << 30
    assert node.agent.tries.holdings.gpus() == {uuid: [lease]}
    (card,) = node.agent.planning.facts(room.now).gpus
    assert card.reserved == (Reserved(4 << 30, shown_bytes=0),)
