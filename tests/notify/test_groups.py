"""A group is told of once, when its last task has ended, whoever looks and in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_queue.config.notify import Notify
from gpu_queue.notices import Wish
from gpu_queue.notify import telling
from gpu_queue.spool import outbox, records
from gpu_queue.task import ExperimentPart, Submission
from tests.node.harness import AT_ONCE, Crash, Fault, Room, failing_renames, run_through
from tests.notify.services import Memory, look

GROUPS = replace(AT_ONCE, notify=Notify(groups=(Wish("ops"),)))


def submit(room: Room, name: str, end: str = "exit 0", *, notify: str = "ops:group", **more: Any) -> str:
    """A run of an experiment."""
    needs: dict[str, Any] = {**({"notify": notify} if notify else {}), **more}
    task = room.submit(room.script(end), name=name, **needs)
    part = ExperimentPart("/p/sweep.yaml", "sweep", "train", name, "")
    records.write_submission(room.paths, Submission(task, name=name, needs=needs, experiment=part))
    return task


def test_all_of_a_group_is_one_message_with_what_failed(room: Room) -> None:
    for number in range(4):
        submit(room, f"s{number}", "exit 3" if number == 2 else "exit 0")
    memory = Memory()
    node = room.start()
    while room.listing("pending") or room.claims():
        look(room, memory)  # as it is at any moment on the way: nothing is told, and nothing is lost
        assert not memory.got
        node.go_on()
    look(room, memory)
    assert memory.titles == ["all of sweep has ended: 3 done, 1 failed"]
    assert memory.got[0].body.splitlines() == ["failed: s2", "gpu-queue report sweep"]
    assert (look(room, memory).told, len(memory.got)) == (0, 1)


def test_of_two_who_look_at_the_same_time_one_tells(room: Room) -> None:
    for number in range(3):
        submit(room, f"s{number}")
    run_through(room)
    first, second = Memory(), Memory()
    real = outbox.move
    with pytest.MonkeyPatch.context() as patch:

        def move(*given: Any) -> bool:
            patch.setattr(outbox, "move", real)
            assert look(room, second).told == 1  # another one, right before the first claims it
            return real(*given)

        patch.setattr(outbox, "move", move)
        look(room, first)
    assert len(first.got) + len(second.got) == 1


@pytest.mark.parametrize("fault", [Fault("notify", False, None), Fault("notify", True, None)], ids=str)
def test_a_sender_that_is_killed_at_its_claim_leaves_the_group_to_the_next(room: Room, fault: Fault) -> None:
    for number in range(3):
        submit(room, f"s{number}")
    run_through(room)
    memory = Memory()
    with failing_renames(room, fault), pytest.raises(Crash):
        look(room, memory)
    assert memory.got == []
    look(room, memory, 1e9 + 301)
    assert memory.titles == ["all of sweep has ended: 3 done, 0 failed"]


def test_only_failures_are_told_of_where_that_is_asked(room: Room) -> None:
    for number in range(2):
        submit(room, f"s{number}", notify="ops:group-failed")
    run_through(room).die()
    memory = Memory()
    assert (look(room, memory).told, room.listing("notify")) == (0, [])
    submit(room, "s2", "exit 3", notify="ops:group-failed")
    run_through(room)
    look(room, memory)
    assert memory.titles == ["all of sweep has ended: 2 done, 1 failed"]


def test_the_last_need_not_be_one_that_says_it(room: Room) -> None:
    submit(room, "says it")
    node = room.start()
    node.settle_all()
    silent = submit(room, "says nothing", notify="")
    memory = Memory()
    assert look(room, memory).told == 0
    node.settle_all()
    assert room.where(silent) == ["done"]
    assert look(room, memory, 1e9 + 60).told == 0  # it is looked at seldom
    assert look(room, memory, 1e9 + 121).told == 1


def test_a_group_that_goes_on_is_told_of_at_its_next_end(room: Room) -> None:
    submit(room, "s0")
    node = room.start(GROUPS)
    node.settle_all()
    memory = Memory()
    look(room, memory)
    submit(room, "s1", notify="")
    node.settle_all()
    look(room, memory)
    assert memory.titles == [
        "all of sweep has ended: 1 done, 0 failed",
        "all of sweep has ended: 2 done, 0 failed",
    ]


def test_an_array_is_told_of_as_a_whole(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "NAMED_MAX", 4)
    from gpu_queue.task import ArrayPart

    ids = [room.submit(room.script("exit 1"), name="a.sh", notify="ops") for _ in range(6)]
    for number, task in enumerate(ids):
        part = ArrayPart(ids[0], number, 0, len(ids) - 1, count=len(ids))
        records.write_submission(room.paths, Submission(task, name="a.sh", needs={"notify": "ops"}, array=part))
    run_through(room)
    memory = Memory()
    look(room, memory)
    assert memory.titles == [f"all of a.sh has ended: 0 done, {len(ids)} failed"]
    assert memory.got[0].body.splitlines()[-2:] == ["failed: a.sh 3", "… and 2 more"]


def test_a_task_of_no_group_is_one_by_itself(room: Room) -> None:
    room.submit(room.script("exit 1"), name="a.sh", notify="ops:group")
    run_through(room)
    memory = Memory()
    look(room, memory)
    assert memory.titles == ["all of a.sh has ended: 0 done, 1 failed"]
