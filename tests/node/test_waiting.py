"""What waits in pending/: when a hand drop is whole, in which order tasks stand, and what others wait for."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpu_queue.node import pending as pending_module
from gpu_queue.node.drops import DropFacts, DropTracker, SettleTimes
from gpu_queue.node.pending import PendingReader, PendingView
from gpu_queue.node.titles import Titles
from gpu_queue.reasons import Code, Reason
from gpu_queue.spool import files, records
from gpu_queue.spool.paths import SpoolPaths, claim_name, full_name
from gpu_queue.spool.queues import Queues
from gpu_queue.task import Claim, State, Submission, short_name
from tests.node.harness import AT_ONCE, LOCAL, NETWORK, Room

TIMES = SettleTimes(complete_s=2.0, unfinished_s=60.0)
WHOLE = DropFacts(inode=7, size_bytes=10, mtime_ns=1, ctime_ns=1, looks_complete=True)


# -- settling -----------------------------------------------------------------------------------------------------


def test_a_drop_that_stands_still_is_whole_after_the_settle_time() -> None:
    tracker = DropTracker(TIMES)
    assert [tracker.look("x", WHOLE, now) for now in (100.0, 101.5, 102.0)] == [2.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "changed",
    [
        replace(WHOLE, size_bytes=11),
        replace(WHOLE, mtime_ns=2),
        replace(WHOLE, ctime_ns=2),
        replace(WHOLE, inode=8),
    ],
)
def test_any_change_starts_the_settle_time_anew(changed: DropFacts) -> None:
    tracker = DropTracker(TIMES)
    tracker.look("x", WHOLE, 100.0)
    assert tracker.look("x", changed, 101.9) == 2.0
    assert tracker.look("x", changed, 103.9) == 0.0


@pytest.mark.parametrize("size_bytes", [0, 10])
def test_a_drop_that_looks_unfinished_must_stand_still_for_longer(size_bytes: int) -> None:
    tracker = DropTracker(TIMES)
    facts = replace(WHOLE, size_bytes=size_bytes, looks_complete=False)
    assert [tracker.look("x", facts, now) for now in (0.0, 59.0, 60.0)] == [60.0, 1.0, 0.0]


def test_a_drop_whose_writer_closed_it_is_whole_at_once_even_without_a_newline() -> None:
    tracker = DropTracker(TIMES)
    tracker.closed("x")
    assert tracker.look("x", replace(WHOLE, looks_complete=False), 0.0) == 0.0


def test_an_empty_file_is_not_whole_because_it_was_closed() -> None:
    tracker = DropTracker(TIMES)
    tracker.closed("x")
    assert tracker.look("x", replace(WHOLE, size_bytes=0, looks_complete=False), 0.0) == 60.0


def test_a_drop_that_is_written_again_after_it_was_closed_settles_anew() -> None:
    tracker = DropTracker(TIMES)
    tracker.closed("x")
    tracker.look("x", WHOLE, 0.0)
    assert tracker.look("x", replace(WHOLE, size_bytes=99), 1.0) == 2.0


def test_a_closing_does_not_count_for_the_next_file_of_that_name() -> None:
    tracker = DropTracker(TIMES)
    tracker.closed("x")
    tracker.look("x", WHOLE, 0.0)
    tracker.forget_all_but(set())
    assert tracker.look("x", replace(WHOLE, inode=8), 1.0) == 2.0


@pytest.mark.parametrize(("mount", "seconds"), [(LOCAL, 2), (NETWORK, 10)])
def test_a_drop_settles_faster_on_a_local_filesystem(room: Room, mount: object, seconds: int) -> None:
    room.drop("x.sh", room.script())
    node = room.start(replace(AT_ONCE, settle_s=0.0), mount=LOCAL if mount is LOCAL else NETWORK)
    node.step()
    for _ in range(seconds - 1):
        node.step()
    assert room.listing("pending") == ["x.sh"]
    assert "settling" in node.reasons()["x.sh"]
    node.step()
    node.step()
    node.step()
    assert room.listing("pending") == []
    node.settle_all()


def test_a_drop_is_taken_at_once_when_an_event_says_that_it_was_closed(room: Room) -> None:
    node = room.start()
    path = room.drop("x.sh", room.script().rstrip("\n"))
    node.agent.hint(str(path.parent), path.name, True)
    for _ in range(3):
        node.step(0.01)
    assert room.listing("pending") == []
    node.settle_all()


# -- order --------------------------------------------------------------------------------------------------------


def a_reader(room: Room) -> PendingReader:
    return PendingReader(room.paths, TIMES, frozenset({os.geteuid()}))


def look(reader: PendingReader, now: float = 0.0, **more: frozenset[str]) -> PendingView:
    return reader.look(now, more.get("running", frozenset()), 1, more.get("ending", frozenset()))


def names(view: PendingView) -> list[str]:
    return [one.name for one in view.waiting]


def test_tasks_stand_by_priority_and_then_by_submission_and_drops_by_when_they_came(room: Room) -> None:
    first, second = (full_name(500, room.submit("#!/bin/sh\n", name)) for name in ("z.sh", "a.sh"))
    urgent = full_name(100, room.submit("#!/bin/sh\n", priority=100))
    for name in ("b-drop.sh", "900_late.sh", "050-soon.sh"):
        room.drop(name, "#!/bin/sh\n")
    assert names(look(a_reader(room))) == ["050-soon.sh", urgent, first, second, "b-drop.sh", "900_late.sh"]


def test_a_changed_priority_is_a_renamed_file_and_nothing_else(room: Room) -> None:
    first, second = room.submit("#!/bin/sh\n"), room.submit("#!/bin/sh\n", gpus="2")
    reader = a_reader(room)
    look(reader)
    pending = room.root / "pending"
    (pending / full_name(500, second)).rename(pending / full_name(1, second))
    view = look(reader)
    assert [one.task_id for one in view.waiting] == [second, first]
    assert view.waiting[0].needs.gpus_min == 2


def test_a_look_reads_a_bounded_number_of_new_files_from_the_head(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_module, "READ_AT_MOST", 2)
    for _ in range(5):
        room.submit("#!/bin/sh\n")
    reader = a_reader(room)
    assert [one.is_read for one in look(reader).waiting] == [True, True, False, False, False]
    assert [one.is_read for one in look(reader).waiting] == [True, True, True, True, False]


def test_a_look_at_slow_storage_reads_for_a_bounded_time_and_the_next_one_goes_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    real = files.read_script

    def read_slowly(path: str, most: int, uids: frozenset[int] | None) -> tuple[bytes, os.stat_result]:
        clock[0] += 0.6 * pending_module.READ_TIME_S * path.startswith(room.paths.directory(State.PENDING))
        return real(path, most, uids)

    for _ in range(5):
        room.submit("#!/bin/sh\n")
    monkeypatch.setattr(pending_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(files, "read_script", read_slowly)
    reader = a_reader(room)
    assert [one.is_read for one in look(reader).waiting] == [True, True, False, False, False]
    assert [one.is_read for one in look(reader).waiting] == [True, True, True, True, False]


def test_what_vanished_is_forgotten_and_what_came_back_is_read_anew(room: Room) -> None:
    task = room.submit("#GPUQ --gpus 2\n")
    path = room.root / "pending" / full_name(500, task)
    reader = a_reader(room)
    assert look(reader).waiting[0].needs.gpus_min == 2
    path.unlink()
    assert look(reader).waiting == ()
    path.write_text("#GPUQ --gpus 3\n")
    assert look(reader).waiting[0].needs.gpus_min == 3
    path.write_text("#GPUQ --gpus 4\n")
    reader.forget(path.name)
    assert look(reader).waiting[0].needs.gpus_min == 4


def test_dot_files_and_temporaries_are_counted(room: Room) -> None:
    for name in (".x", "x~", "x.tmp", "x.swp"):
        room.drop(name, "x")
    published = full_name(500, room.submit("#!/bin/sh\n", "x.tmp"))
    view = look(a_reader(room))
    assert (view.skipped, names(view)) == (4, [published])


# -- copies and claims that come back -----------------------------------------------------------------------------


def test_a_copy_of_a_running_task_is_a_new_task(room: Room) -> None:
    task = room.submit("#!/bin/sh\n")
    (copy,) = look(a_reader(room), running=frozenset({task})).waiting
    assert copy.task_id is None
    assert copy.unready == Reason(Code.SETTLING)


def test_a_copy_of_a_running_task_runs_beside_it_under_a_name_of_its_own(room: Room) -> None:
    os.mkfifo(room.base / "gate")
    task = room.submit(room.script(f'read line <"{room.base}/gate"; exit 0'))
    node = room.start()
    for _ in range(3):
        node.step()
    (room.root / "pending" / full_name(500, task)).write_text(room.script())
    for _ in range(6):
        node.step()
    names = [*room.claims(), *room.listing("done")]  # it may have ended by now
    (second,) = {name.split(".try")[0][4:] for name in names} - {task}
    (room.base / "gate").write_text("go\n")
    node.settle_all()
    assert [room.where(one) for one in (task, second)] == [["done"], ["done"]]
    assert [room.runs(one) for one in (task, second)] == [1, 1]


def test_a_claim_moved_back_by_hand_keeps_its_identity(room: Room) -> None:
    task = room.submit("#!/bin/sh\n", gpus="3")
    claim = claim_name(Claim(500, task, 1, "0f0f0f"))
    os.rename(room.root / "pending" / full_name(500, task), room.root / "pending" / claim)
    (back,) = look(a_reader(room)).waiting
    assert (back.task_id, back.needs.gpus_min, back.unready) == (task, 3, None)


def test_a_claim_moved_back_by_hand_is_followed_by_the_next_number_though_nothing_else_tells_of_it(
    room: Room,
) -> None:
    task = room.submit("#!/bin/sh\n")
    claim = claim_name(Claim(500, task, 7, "0f0f0f"))
    os.rename(room.root / "pending" / full_name(500, task), room.root / "pending" / claim)
    (back,) = look(a_reader(room)).waiting
    assert (back.tries, room.listing("logs")) == (7, [])


def test_a_task_that_is_moved_back_while_it_runs_waits_for_the_end_of_its_try(room: Room) -> None:
    task = room.submit("#!/bin/sh\n", gpus="3")
    reader = a_reader(room)
    (ending,) = look(reader, ending=frozenset({task})).waiting
    assert (ending.task_id, ending.unready) == (task, Reason(Code.ENDING))
    (free,) = look(reader).waiting
    assert (free.task_id, free.needs.gpus_min, free.unready) == (task, 3, None)


def test_mv_of_a_running_task_back_to_pending_ends_its_try_and_runs_it_again_as_itself(room: Room) -> None:
    os.mkfifo(room.base / "up")
    flag = f'mkdir "{room.base}/once" 2>/dev/null || exit 0; echo up >"{room.base}/up"; exec sleep 600'
    task = room.submit(room.script(flag))
    node = room.start()
    for _ in range(3):
        node.step()
    assert (room.base / "up").read_text() == "up\n"
    (claim,) = room.claims()
    os.rename(room.root / "running" / "n1" / claim, room.root / "pending" / claim)
    for _ in range(5):
        node.step()
    node.settle_all()
    assert room.where(task) == ["done"]
    assert room.runs(task) == 2


# -- tasks that wait for others -----------------------------------------------------------------------------------


def upstream(reader: PendingReader, now: float) -> State | None:
    (waiter,) = [one for one in look(reader, now).waiting if one.needs.after]
    ((_, state),) = waiter.upstream
    return state


def move(room: Room, task: str, source: str, target: str) -> None:
    (room.root / target).parent.mkdir(exist_ok=True)
    for directory in (source, target):
        (room.root / directory).mkdir(exist_ok=True)
    (name,) = [name for name in os.listdir(room.root / source) if task in name]
    plain = full_name(500, task)
    new = f"{plain}.try1.0f0f0f" if target.startswith("running") else plain
    os.rename(room.root / source / name, room.root / target / new)


def test_a_task_hears_of_its_upstream_wherever_that_goes(room: Room) -> None:
    first = room.submit("#!/bin/sh\n")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    assert upstream(reader, 0.0) is State.PENDING
    move(room, first, "pending", "running/other")
    assert upstream(reader, 100.0) is State.RUNNING
    move(room, first, "running/other", "done")
    assert upstream(reader, 200.0) is State.DONE


def test_an_upstream_that_failed_and_is_retried_no_longer_counts_as_failed(room: Room) -> None:
    first = room.submit("#!/bin/sh\n")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    move(room, first, "pending", "failed")
    assert upstream(reader, 0.0) is State.FAILED
    move(room, first, "failed", "pending")
    assert upstream(reader, 1.0) is State.PENDING
    move(room, first, "pending", "running/other")
    assert upstream(reader, 100.0) is State.RUNNING


def test_an_upstream_that_was_retried_and_taken_at_once_is_waited_for(room: Room) -> None:
    first = room.submit("#!/bin/sh\n")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    move(room, first, "pending", "failed")
    assert upstream(reader, 0.0) is State.FAILED
    move(room, first, "failed", "pending")
    assert upstream(reader, 1.0) is State.PENDING
    move(room, first, "pending", "running/other")
    assert upstream(reader, 2.0) in (None, State.RUNNING), "failed/ is not listed anew so soon"


def test_what_this_node_settles_is_known_at_once(room: Room) -> None:
    first = room.submit(room.script())
    second = room.submit(room.script(), after=[first])
    third = room.submit(room.script("exit 3"), after=[second])
    fourth = room.submit(room.script(), after=[third])
    node = room.start()
    node.settle_all()
    assert [room.where(one) for one in (first, second, third, fourth)] == [["done"], ["done"], ["failed"], ["failed"]]
    assert room.ran.read_text().split() == [first, second, third]
    assert f"dependency {short_name(third)} failed" in room.log(fourth)


def test_a_chain_that_is_retried_by_hand_runs_in_order(room: Room) -> None:
    flag = f'mkdir "{room.base}/once" 2>/dev/null && exit 3; exit 0'
    first = room.submit(room.script(flag))
    second = room.submit(room.script(), after=[first])
    node = room.start()
    node.settle_all()
    assert [room.where(one) for one in (first, second)] == [["failed"], ["failed"]]
    for task in (first, second):
        os.rename(room.root / "failed" / full_name(500, task), room.root / "pending" / full_name(500, task))
    node.settle_all()
    assert [room.where(one) for one in (first, second)] == [["done"], ["done"]]
    assert room.ran.read_text().split() == [first, first, second]


def test_an_unknown_upstream_is_waited_for_and_named(room: Room) -> None:
    nobody = "20260101T000000000-abcdef-nobody.sh"
    task = room.submit(room.script(), after=[nobody])
    node = room.start()
    node.settle_all()
    assert node.reasons()[full_name(500, task)] == f"waits for {short_name(nobody)}"


def test_what_others_wait_for_is_named_by_its_title_also_where_it_is_on_another_node(room: Room) -> None:
    holder = room.submit(room.script(), "训练.sh", queue="Z")
    upstream_id = room.submit(room.script(), "评估")
    Queues(room.paths, 60.0).restore({holder: "Z"}, "other")
    for one in (holder, upstream_id):
        move(room, one, "pending", "running/other")
    queued = room.submit(room.script(), queue="Z")
    waiter = room.submit(room.script(), after=[upstream_id])
    node = room.start()
    node.settle_all()
    reasons = node.reasons()
    assert reasons[full_name(500, queued)] == f"queue Z is busy with 训练.sh ({holder.split('-')[1]})"
    assert reasons[full_name(500, waiter)] == f"waits for 评估 ({upstream_id.split('-')[1]})"
    assert [one.reason.text("holder_title") for one in node.page().waiting] == ["训练.sh", ""]
    assert "队列 Z 正在运行 训练.sh" in node.text()


def test_the_holder_of_a_queue_that_runs_here_is_named_by_its_title_before_the_next_look(room: Room) -> None:
    room.submit(room.script("exec sleep 600"), "训练.sh", queue="Z")
    second = room.submit(room.script(), queue="Z")
    node = room.start()
    for _ in range(20):
        node.step(0.05)
        if (holder := node.agent.looking.busy_queues) and "busy with" in node.reasons().get(
            full_name(500, second), ""
        ):
            break
    assert node.reasons()[full_name(500, second)] == f"queue Z is busy with 训练.sh ({holder['Z'].split('-')[1]})"


def test_what_a_task_is_called_is_read_once_and_of_few_tasks_at_each_look(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [room.submit("#!/bin/sh\n", f"训练{number}") for number in range(30)]
    plain = room.submit("#!/bin/sh\n", "plain.sh")
    for one in (*held, plain):
        move(room, one, "pending", "running/other")
    for start in range(0, 30, 10):
        room.submit("#!/bin/sh\n", after=[*held[start : start + 10], plain])
    reader = a_reader(room)
    read: list[str] = []
    original = records.read_submission

    def counting(paths: SpoolPaths, task_id: str, uids: frozenset[int] | None) -> Submission:
        read.append(task_id)
        return original(paths, task_id, uids)

    waiting = look(reader, 0.0).waiting
    titles = Titles(room.paths, frozenset({os.getuid()}))
    monkeypatch.setattr(records, "read_submission", counting)
    assert [len(titles.look([], waiting)) for _ in range(4)] == [20, 30, 30, 30]
    assert sorted(read) == sorted(held)


@pytest.mark.parametrize("token", ["", "car\n", "a-b-../../etc/pass_wd\n", "500-x_y.sh\n"])
def test_a_token_that_names_no_task_keeps_its_queue_and_no_other_task(room: Room, token: str) -> None:
    (room.root / "queues" / "car.000001").write_text(token)
    waits, runs = room.submit(room.script("true"), queue="car"), room.submit(room.script("true"))
    node = room.start(AT_ONCE)
    node.settle_all()
    assert (room.where(waits), room.where(runs)) == (["pending"], ["done"])
    assert "queue car is busy" in node.reasons()[full_name(500, waits)]


# -- retries ------------------------------------------------------------------------------------------------------


def test_a_failed_task_rests_before_it_is_tried_again(room: Room) -> None:
    task = room.submit(room.script("exit 3"))
    node = room.start(replace(AT_ONCE, retries=1, retry_delay_s=3600.0))
    node.settle_all()
    assert (room.where(task), room.runs(task)) == (["pending"], 1)
    assert "failed once; tried again in" in node.reasons()[full_name(500, task)]
    node.die()
    again = room.start(replace(AT_ONCE, retries=1, retry_delay_s=3600.0))
    again.settle_all()
    assert room.runs(task) == 1, "the rest outlives the agent"
    assert "failed once" in Path(room.paths.node_lines("n1")).read_text()


def test_of_two_files_of_one_task_the_plain_name_is_the_task_and_the_other_a_drop(room: Room) -> None:
    task = room.submit("#!/bin/sh\n")
    plain = full_name(500, task)
    (room.root / "pending" / f"{plain}.try1.abcdef=0").write_text("#!/bin/sh\n")
    found = {one.name: one.task_id for one in look(a_reader(room)).waiting}
    assert found == {plain: task, f"{plain}.try1.abcdef=0": None}


def test_a_task_that_failed_on_another_node_between_two_listings_waits_for_its_retry(room: Room) -> None:
    settings = replace(AT_ONCE, retries=1, retry_delay_s=3600.0)
    first, other = room.start(settings), room.start(settings, name="n2")
    (room.root / "paused").write_text("me\n")
    first.step()
    task = room.submit(room.script("exit 1"))
    first.go_on(3)
    assert [(one.task_id, one.is_read) for one in first.agent.looking.view.waiting] == [(task, True)]
    (room.root / "paused").unlink()
    other.settle_all()
    assert (room.where(task), room.runs(task)) == (["pending"], 1), "it failed there, and came back under its name"
    first.settle_all()
    assert room.runs(task) == 1
    assert "failed once; tried again in" in first.reasons()[full_name(500, task)]
