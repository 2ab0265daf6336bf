"""Each row of the state table (docs/spool.md, "States"), with storage that lies and agents that are killed.

Whatever happens to a rename: the task is in exactly one state afterwards, it settles as the table says, a try that
has ended is never run again, and nothing is lost.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.agent import stages
from gpu_queue.spool import records
from gpu_queue.spool.paths import SpoolPaths, ended_name, full_name
from gpu_queue.spool.records import TryRecord
from gpu_queue.task import Claim, End, Why
from tests.node.harness import AT_ONCE, FAULTS, Fault, Room, a_spool, faults, run_through

RETRIED = replace(AT_ONCE, retries=1)


def fails_once(room: Room) -> str:
    return room.script(f'mkdir "{room.base}/failed-$GPU_QUEUE_TASK" 2>/dev/null && exit 3; exit 0')


# -- P0, P1 -------------------------------------------------------------------------------------------------------


def test_a_task_that_is_being_written_is_not_there_yet_and_stays_whatever_happens(room: Room) -> None:
    half = room.drop(".20260101T000000000-abcdef-half.sh", "#!/bin/sh\nrm -rf")
    for _ in range(2):
        node = room.start()
        node.settle_all()
        node.die()
    assert half.exists()
    assert room.listing("done") == room.listing("failed") == []


def test_a_task_waits_through_any_number_of_agents_and_runs_once(room: Room) -> None:
    task = room.submit(room.script())
    room.root.joinpath("paused").touch()
    for _ in range(3):
        node = room.start()
        node.settle_all()
        node.die()
    assert room.where(task) == ["pending"]
    room.root.joinpath("paused").unlink()
    room.start().settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 1)


@pytest.mark.parametrize("fault", faults("running"), ids=str)
def test_a_claim_whose_rename_goes_wrong_is_made_once_in_the_end(room: Room, fault: Fault) -> None:
    task = room.submit(room.script())
    run_through(room, fault)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == (["done"], 1)
    assert room.claims() == []


@pytest.mark.parametrize("fault", faults("running"), ids=str)
def test_a_hand_drop_whose_claim_goes_wrong_runs_once_in_the_end(room: Room, fault: Fault) -> None:
    room.drop("train.sh", room.script())
    run_through(room, fault)
    assert fault.happened == 1
    (done,) = room.listing("done")
    assert done.endswith("-train.sh")
    assert room.ran.read_text().count("\n") == 1
    assert (room.listing("pending"), room.claims()) == ([], [])


@pytest.mark.parametrize("fault", [*faults("running"), *faults("failed")], ids=str)
def test_a_task_that_can_never_run_ends_in_failed_whatever_happens_to_its_renames(room: Room, fault: Fault) -> None:
    task = room.submit(b"\x7fELF\0\0")
    run_through(room, fault)
    assert room.where(task) == ["failed"]
    assert "binary" in room.log(task)


# -- R: claimed or running ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", faults("done"), ids=str)
def test_a_success_is_moved_to_done_and_never_run_again(room: Room, fault: Fault) -> None:
    task = room.submit(room.script())
    run_through(room, fault)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == (["done"], 1)


@pytest.mark.parametrize("fault", faults("failed"), ids=str)
def test_a_failure_is_moved_to_failed_and_never_run_again(room: Room, fault: Fault) -> None:
    task = room.submit(room.script("exit 3"))
    run_through(room, fault)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == (["failed"], 1)


@pytest.mark.parametrize("fault", faults("pending"), ids=str)
def test_a_failure_with_a_retry_left_goes_back_once_and_counts_once(room: Room, fault: Fault) -> None:
    task = room.submit(fails_once(room))
    run_through(room, fault, settings=RETRIED)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == (["done"], 2)


@pytest.mark.parametrize("fault", faults("failed"), ids=str)
def test_a_task_whose_retries_are_used_up_is_not_given_another_one_by_a_crash(room: Room, fault: Fault) -> None:
    task = room.submit(room.script("exit 3"))
    run_through(room, fault, settings=RETRIED)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == (["failed"], 2)


def test_a_claim_without_any_trace_on_this_machine_is_lost_and_tried_again_three_times_at_most(room: Room) -> None:
    task = room.submit(room.script())
    room.root.joinpath("paused").touch()
    for number, place in [(1, "pending"), (2, "pending"), (3, "failed")]:
        node = room.start()
        source = room.root / "pending" / full_name(500, task)
        source.rename(room.root / "running" / "n1" / f"{source.name}.try{number}.00000{number}")
        node.settle_all()
        node.die()
        assert room.where(task) == [place]
    assert room.runs(task) == 0
    assert "3 tries were lost" in room.log(task)


def a_claim(room: Room, task: str, token: str = "0f0f0f") -> Claim:
    """A waiting task as it looks when it has been claimed."""
    claim = Claim(500, task, 1, token)
    Path(room.paths.running("n1")).mkdir(exist_ok=True)
    os.rename(room.root / "pending" / full_name(500, task), room.paths.claim("n1", claim))
    return claim


@pytest.mark.parametrize(
    ("status", "why", "place"),
    [
        ("0", None, "done"),
        ("0", "requeue", "done"),
        ("143", "requeue", "pending"),
        ("143", "stopped", "failed"),
        ("143", "timeout", "failed"),
        ("143", "fenced", "pending"),
        ("3", None, "failed"),
        (None, "stopped", "failed"),
        (None, "timeout", "failed"),
        (None, "requeue", "pending"),
        (None, None, "pending"),
        ("torn", None, "pending"),
        ("0", "a word of a later version", "done"),
        ("9", "a word of a later version", "pending"),
    ],
)
def test_what_a_dead_shim_left_on_this_machine_decides_where_its_task_goes(
    room: Room, status: str | None, why: str | None, place: str
) -> None:
    task = room.submit(room.script())
    room.root.joinpath("paused").touch()
    claim = a_claim(room, task)
    node = room.start()
    directory = node.around.home.try_directory(os.path.basename(room.paths.claim("n1", claim)))
    directory.create()
    Path(directory.path, "lock").touch()
    if status is not None:
        Path(directory.path, "status").write_text(status if status == "torn" else f"{status}\n")
    if why is not None:
        Path(directory.path, "why").write_text(f"{why}\n")
    node.settle_all()
    assert (room.where(task), room.runs(task)) == ([place], 0)
    assert not Path(directory.path).exists()


def test_a_try_whose_lock_is_held_is_left_alone_and_keeps_its_gpus(room: Room) -> None:
    task = room.submit(room.script())
    claim = a_claim(room, task)
    node = room.start(gpus="1")
    directory = node.around.home.try_directory(os.path.basename(room.paths.claim("n1", claim)))
    directory.create()
    lock = directory.lock()
    (gpu,) = node.around.gpu_uuids
    directory.write_facts({"gpus": [gpu]})
    assert node.around.leases.take([gpu], directory.path)
    second = room.submit(room.script(head=""))
    for _ in range(10):
        node.step()
    assert room.where(task) == ["running/n1"]
    assert "0 idle (1 busy)" in node.reasons()[full_name(500, second)]
    Path(directory.path, "status").write_text("0\n")
    os.close(lock)
    node.settle_all()
    assert (room.where(task), room.where(second), room.runs(task)) == (["done"], ["done"], 0)


def test_a_running_task_outlives_its_agent_and_is_settled_by_the_next_one(room: Room) -> None:
    task = room.submit(room.script(f'read line <"{room.base}/gate"; exit 0'))
    os.mkfifo(room.base / "gate")
    first = room.start()
    for _ in range(3):
        first.step()
    first.die()
    second = room.start()
    for _ in range(3):
        second.step()
    assert room.where(task) == ["running/n1"]
    (room.base / "gate").write_text("go\n")
    second.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 1)


def test_a_gpu_is_nobodys_until_what_a_try_left_behind_has_ended(room: Room) -> None:
    os.mkfifo(room.base / "up")
    # TERM does not end it: it is there for as long as such a process is given.
    daemon = (
        f"""sh -c 'trap "" TERM; echo up >"{room.base}/up"; exec sleep 600' & read word <"{room.base}/up"; exit 0"""
    )
    first, second = room.submit(room.script(daemon, head="")), room.submit(room.script(head=""))
    node = room.start(gpus="1")
    node.go_on(2)
    (one,) = node.agent.tries.live.values()
    assert one.claim.task_id == first
    while one.is_running:
        node.go_on()
    node.go_on(2)
    assert isinstance(one.stage, stages.Cleaning)
    assert room.where(second) == ["pending"]
    assert "0 idle (1 busy)" in node.reasons()[full_name(500, second)]
    node.settle_all()
    assert [room.where(task) for task in (first, second)] == [["done"], ["done"]]


# -- E: ended -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "place"),
    [
        (End(0), "done"),
        (End(0, Why.STOPPED), "done"),
        (End(0, Why.NOSTART), "pending"),
        (End(143, Why.REQUEUE), "pending"),
        (End(143, Why.FENCED), "pending"),
        (End(255, Why.LOST), "pending"),
        (End(143, Why.STOPPED), "failed"),
        (End(143, Why.TIMEOUT), "failed"),
        (End(1), "failed"),
    ],
)
@pytest.mark.parametrize(("is_done", "error"), FAULTS)
def test_an_ended_try_is_moved_on_by_the_table_and_never_run_from_there(
    room: Room, end: End, place: str, is_done: bool, error: int | None
) -> None:
    task = room.submit(room.script())
    room.root.joinpath("paused").touch()
    claim = a_claim(room, task)
    os.rename(room.paths.claim("n1", claim), f"{room.paths.running('n1')}/{ended_name(claim, end)}")
    fault = Fault(place, is_done, error)
    run_through(room, fault)
    assert fault.happened == 1
    assert (room.where(task), room.runs(task)) == ([place], 0)
    assert room.listing(place) == [full_name(500, task)]
    (record,) = [name for name in room.listing("records") if name.endswith(".try1.0f0f0f.json")]
    assert json.loads((room.root / "records" / record).read_text())["status"] == end.status


def test_an_ended_failure_counts_towards_its_retries_once_however_often_it_is_taken_up(room: Room) -> None:
    task = room.submit(room.script("exit 3"))
    run_through(room, Fault("pending", False, None, times=4), settings=RETRIED)
    assert (room.where(task), room.runs(task)) == (["failed"], 2)


@pytest.mark.parametrize("end", [0, 3])
def test_an_end_waits_for_its_record_while_the_storage_has_trouble_and_not_while_it_is_full(
    room: Room, monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    trouble = [errno.EIO, errno.ESTALE]
    real = records.write_try

    def write(paths: SpoolPaths, record: TryRecord) -> None:
        if record.status is not None and trouble:
            number = trouble[-1] if trouble[-1] == errno.ENOSPC else trouble.pop()
            raise OSError(number, os.strerror(number))
        real(paths, record)

    monkeypatch.setattr(records, "write_try", write)
    first = room.submit(room.script(f"exit {end}"))
    room.start().settle_all()
    place = "failed" if end else "done"
    assert (room.where(first), trouble) == ([place], [])
    (record,) = (room.root / "records").glob(f"{first}.try1.*.json")
    assert json.loads(record.read_text())["status"] == end
    trouble.append(errno.ENOSPC)
    second = room.submit(room.script(f"exit {end}"))
    room.nodes[0].settle_all()
    assert room.where(second) == [place]


def test_files_in_a_running_directory_that_are_no_claims_are_left_alone(room: Room) -> None:
    node = room.start()
    strange = room.root / "running" / "n1" / "notes.txt"
    strange.write_text("mine")
    (room.root / "running" / "n1" / "500-x.try1.abcdef").mkdir()
    node.settle_all()
    assert strange.read_text() == "mine"


# -- D: settled ---------------------------------------------------------------------------------------------------


def test_a_task_that_is_retried_by_hand_begins_anew(room: Room) -> None:
    task = room.submit(room.script("exit 3"))
    node = room.start(RETRIED)
    node.settle_all()
    assert (room.where(task), room.runs(task)) == (["failed"], 2)
    os.rename(room.root / "failed" / full_name(500, task), room.root / "pending" / full_name(500, task))
    node.settle_all()
    assert (room.where(task), room.runs(task)) == (["failed"], 4)


def test_a_settled_task_has_nothing_to_tidy(room: Room) -> None:
    task = room.submit(room.script())
    first = room.start()
    first.settle_all()
    first.die()
    before = {place: room.listing(place) for place in ("pending", "done", "failed", "records", "queues")}
    second = room.start()
    second.settle_all()
    assert before == {place: room.listing(place) for place in before}
    assert room.runs(task) == 1
    assert not second.around.home.tries()


# -- queues, hand drops, anything ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*faults("queues"), *faults("running"), *faults("done")], ids=str)
def test_a_serial_queue_goes_on_after_any_failure_once_a_lost_token_is_broken(room: Room, fault: Fault) -> None:
    quick = replace(AT_ONCE, takeover_after_s=30.0)
    head = "#GPUQ --gpus 0 --queue car"
    tasks = [room.submit(room.script(head=head)) for _ in range(3)]
    node = run_through(room, fault, settings=quick)
    for _ in range(40):
        node.step()
    node.settle_all()
    assert [room.where(task) for task in tasks] == [["done"]] * 3
    assert [room.runs(task) for task in tasks] == [1, 1, 1]
    assert room.ran.read_text().split() == tasks


def test_a_task_that_goes_back_keeps_its_queue(room: Room) -> None:
    head = "#GPUQ --gpus 0 --queue car"
    flag = f'mkdir "{room.base}/once" 2>/dev/null && exit 3; exit 0'
    first, second = room.submit(room.script(flag, head)), room.submit(room.script(head=head))
    room.start(RETRIED).settle_all()
    assert room.ran.read_text().split() == [first, first, second]


@pytest.mark.parametrize("fault", faults("pending"), ids=str)
def test_a_drop_that_changes_while_it_is_taken_goes_back_and_is_never_lost(room: Room, fault: Fault) -> None:
    node = room.start()
    path = room.drop("train.sh", room.script("exit 7"))
    node.step()
    real = os.rename
    late = [room.script()]

    def rename_while_it_is_written(source: str, target: str) -> None:
        if late and "/running/" in target and source == str(path):
            path.write_text(late.pop())
        real(source, target)

    node.die()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename_while_it_is_written)
        run_through(room, fault)
    (done,) = room.listing("done")
    assert done.endswith("-train.sh")
    assert (room.listing("failed"), room.listing("pending"), room.claims()) == ([], [], [])


A_FAULT = st.builds(
    lambda where, what, skip: Fault(where, what[0], what[1], skip),
    st.sampled_from(["running", "done", "failed", "pending", "queues"]),
    st.sampled_from(FAULTS),
    st.integers(0, 3),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(plan=st.lists(A_FAULT, max_size=4))
def test_whatever_goes_wrong_each_task_ends_once_where_it_belongs(
    tmp_path_factory: pytest.TempPathFactory, plan: list[Fault]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        good = room.submit(room.script())
        bad = room.submit(room.script("exit 3"))
        again = room.submit(fails_once(room))
        never = room.submit(b"\x7fELF\0")
        run_through(room, *plan, settings=replace(AT_ONCE, retries=1, max_lost=100))
        assert [room.where(one) for one in (good, bad, again, never)] == [["done"], ["failed"], ["done"], ["failed"]]
        assert [room.runs(one) for one in (good, bad, again, never)] == [1, 2, 2, 0]


@pytest.mark.parametrize(
    "facts", [None, b"", b'{"gpus": [', b"[]", b"\xff\0", b"{}", b'{"retries": "many", "queue": 7}']
)
def test_a_successor_that_finds_no_facts_of_a_try_keeps_its_retries_and_its_queue(
    room: Room, facts: bytes | None
) -> None:
    script = f'case $GPU_QUEUE_TRY in 1) read line <"{room.base}/gate"; exit 1 ;; esac'
    task = room.submit(room.script(script), retries="1", queue="car")
    os.mkfifo(room.base / "gate")
    first = room.start()
    for _ in range(3):
        first.step()
    (one,) = first.agent.tries.live.values()
    first.die()
    path = Path(one.directory.path, "facts")
    path.unlink()
    if facts is not None:
        path.write_bytes(facts)
    second = room.start()
    for _ in range(3):
        second.step()
    assert room.where(task) == ["running/n1"], "its shim lives"
    (room.base / "gate").write_text("go\n")
    second.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 2), "the retry that it was submitted with"
    assert all(name.endswith(".free") for name in room.listing("queues")), "its queue is free again"
