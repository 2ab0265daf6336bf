"""One notice per end, whatever happens to the agent on its way: before and after the rename that settles the task."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.config.notify import Notify
from gpu_queue.notices import Wish
from gpu_queue.notify.sending import Round
from gpu_queue.spool import outbox, store
from tests.node.harness import AT_ONCE, Fault, Room, faults, run_through
from tests.notify.services import OPS, Memory, look

FAILED = replace(AT_ONCE, notify=Notify(tasks=(Wish("ops", "failed"),)))


def notices(room: Room) -> list[tuple[str, str, str]]:
    there = outbox.look(room.paths)
    return sorted((one.what.value, one.label, one.stage.value) for one in there)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(one, marks=[] if one.error in (None, errno.ENOSPC) else pytest.mark.long)
        for one in faults("failed")
    ],
    ids=str,
)
def test_an_end_is_written_down_once_whatever_becomes_of_the_rename(room: Room, fault: Fault) -> None:
    task = room.submit(room.script("exit 3"), notify="ops,me:done")
    memory = Memory()
    before = look(room, memory)
    assert before.told == 0
    run_through(room, fault).die()
    assert room.where(task) == ["failed"]
    assert notices(room) == [("ended", "ops", "new")]
    assert look(room, memory).told == 1
    assert memory.titles == ["t.sh failed (exit 3)"]
    run_through(room)  # an agent that comes later finds nothing more to tell
    assert (look(room, memory).told, len(memory.got)) == (0, 1)


def test_who_looks_before_the_task_is_moved_tells_nothing_and_who_looks_after_it_once(room: Room) -> None:
    task = room.submit(room.script(), notify="ops")
    memory = Memory()
    node = room.start()
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = store.move

        def move(source: str, target: str) -> store.MoveResult:
            if "/done/" in target:
                seen.append((look(room, memory).told, notices(room)))
            return real(source, target)

        patch.setattr(store, "move", move)
        node.settle_all()
    assert seen == [(0, [("ended", "ops", "new")])]
    assert room.where(task) == ["done"]
    assert (look(room, memory).told, memory.titles) == (1, ["t.sh is done"])


def test_a_task_that_is_tried_again_has_not_ended(room: Room) -> None:
    script = f'mkdir "{room.base}/first" 2>/dev/null && exit 3; exit 0'
    task = room.submit(room.script(script), notify="ops", retries="1")
    run_through(room)
    memory = Memory()
    assert (look(room, memory).told, memory.titles) == (1, ["t.sh is done"])
    assert memory.got[0].body.splitlines()[1] == "try: 2"
    assert room.where(task) == ["done"]


def test_a_script_that_can_never_run_is_told_of_too(room: Room) -> None:
    room.submit("#!/bin/sh\n#GPUQ --gpus many\n#GPUQ --notify ops:failed\n", name="typo.sh")
    run_through(room)
    memory = Memory()
    look(room, memory)
    assert memory.titles == ["typo.sh was refused"]
    assert "why: '#GPUQ --gpus many'" in memory.got[0].body


def test_the_queue_itself_says_who_is_told(room: Room) -> None:
    room.submit(room.script("exit 3"), name="bad.sh")
    room.submit(room.script(), name="good.sh")
    node = room.start(FAILED)
    node.settle_all()
    memory = Memory()
    look(room, memory)
    assert memory.titles == ["bad.sh failed (exit 3)"]


def test_a_serial_queue_has_ended_when_nothing_waits_behind_the_last(room: Room) -> None:
    for name in ("a.sh", "b.sh", "c.sh"):
        room.submit(room.script("exit 3" if name == "b.sh" else "exit 0"), name=name, queue="car")
    node = room.start(replace(AT_ONCE, notify=Notify(queues=(Wish("ops", "failed"),))))
    node.settle_all()
    memory = Memory()
    assert look(room, memory).told == 1
    assert memory.titles == ["queue car has ended: 2 done, 1 failed"]
    assert memory.got[0].failed


def test_an_agent_says_once_that_its_end_is_near(room: Room) -> None:
    settings = replace(AT_ONCE, lifetime_s=7200.0, notify=Notify(agents=(Wish("ops"),), before_end_s=600.0))
    node = room.start(settings)
    node.step()
    assert notices(room) == []
    node.step(6700.0)
    node.step(60.0)
    assert notices(room) == [("agent", "ops", "new")]
    memory = Memory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpu_queue.notify.telling.format_duration", lambda left_s: "a while")
        look(room, memory)
    assert memory.titles == ["the agent on n1 ends in a while"]


def test_a_node_that_was_cut_off_writes_nothing_of_a_try_that_a_peer_has_taken(room: Room) -> None:
    task = room.submit(room.script("exit 3"), notify="ops")
    node = room.start()
    while not room.claims():
        node.step()
    claim = Path(room.root, "running/n1", room.claims()[0])
    other = Path(room.root, "running/n2")
    other.mkdir()
    real = node.spool.transitions._is_here
    with pytest.MonkeyPatch.context() as patch:

        def is_here(path: str) -> bool:
            if claim.exists():
                claim.rename(other / claim.name)
            return real(path)

        patch.setattr(node.spool.transitions, "_is_here", is_here)
        node.go_on(8)
    assert room.where(task) == ["running/n2"]
    assert notices(room) == []


def test_an_end_that_a_peer_has_undone_is_not_told(room: Room) -> None:
    task = room.submit(room.script("exit 3"), notify="ops")
    run_through(room)
    record = next(Path(room.root, "records").glob(f"{task}.try1.*.json"))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"to": "pending", "outcome": "lost"}))
    memory = Memory()
    assert (look(room, memory).told, notices(room)) == (0, [])


def test_a_full_outbox_takes_no_more_and_holds_up_no_task(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "FULL", 1)
    first = room.submit(room.script(), notify="ops")
    second = room.submit(room.script(), notify="ops")
    run_through(room)
    assert room.where(first) == room.where(second) == ["done"]
    assert len(notices(room)) == 1


def test_what_somebody_else_has_put_there_is_not_sent(room: Room) -> None:
    Path(room.root, "notify").mkdir()
    for name, content in (
        ("20260101T000000000-000001-a.sh.try1.abcdef.ended.ops.json", "no json"),
        ("20260101T000000000-000001-b.sh.try1.abcdef.ended.ops.json", "[]"),
        ("anything", "{}"),
    ):
        Path(room.root, "notify", name).write_text(content)
    link = Path(room.root, "notify", "20260101T000000000-000001-c.sh.try1.abcdef.ended.ops.json")
    link.symlink_to("/etc/passwd")
    memory = Memory()
    outcome = look(room, memory)
    assert (outcome.told, len(outcome.problems), memory.got) == (0, 3, [])
    assert room.listing("notify") == ["anything"]


def test_what_belongs_to_another_user_is_left_to_him(room: Room) -> None:
    room.submit(room.script(), notify="ops")
    run_through(room)
    memory = Memory()
    other = frozenset({room.root.stat().st_uid + 1})
    assert Round(room.paths, OPS, other, memory).work(1e9).told == 0
    assert notices(room) == [("ended", "ops", "new")]
