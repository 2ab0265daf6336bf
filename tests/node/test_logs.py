"""The logs of tasks: who opens them, what stands in their place, how they end, and that they reach the server."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpu_queue.node.logpush import LogPusher
from gpu_queue.node.transitions import Claimed, NotClaimed
from gpu_queue.task import Claim, Waiting
from tests.agent.harness import wait_until
from tests.node.harness import LOCAL, NETWORK, Crash, Fault, Node, Room, failing_renames


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were synced, by name, in order."""
    names: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        names.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


def a_talking_task(room: Room, node: Node) -> str:
    task = room.submit(room.script("echo hello; sleep 600"))

    def spoke() -> bool:
        node.step(0.2)
        return "hello" in room.log(task)

    wait_until(spoke, "the task's word")
    return task


def test_the_log_of_a_running_task_is_synced_once_each_time_that_it_has_grown(room: Room, synced: list[str]) -> None:
    node = room.start(mount=NETWORK)
    task = a_talking_task(room, node)
    for _ in range(5):
        node.step(4.0)
    before = len(synced)
    for _ in range(5):
        node.step(4.0)
    assert len(synced) == before, "nothing was printed"
    with Path(room.paths.first_log(task)).open("a") as log:
        log.write("more\n")
    for _ in range(5):
        node.step(4.0)
    assert synced[before:] == [f"{task}.log"]


def test_on_a_local_disk_and_for_tasks_that_have_ended_nothing_is_synced(room: Room, synced: list[str]) -> None:
    node = room.start(mount=LOCAL)
    a_talking_task(room, node)
    for _ in range(3):
        node.step(4.0)
    assert synced == []
    node.die()
    other = room.start(name="n2", mount=NETWORK)
    done = room.submit(room.script())
    other.settle_all()
    assert room.where(done) == ["done"]
    synced.clear()
    for _ in range(3):
        other.step(4.0)
    assert synced == []
    assert all(not one.is_running for one in other.agent.tries.live.values())


def test_a_log_that_is_missing_or_no_file_hangs_nobody(tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to("/dev/null")
    started = time.monotonic()
    LogPusher().push((str(tmp_path / "missing"), str(fifo), str(link), str(tmp_path)))
    assert time.monotonic() - started < 5


def in_the_way(kind: str, path: Path, home: Path) -> None:
    """Put something else in the place of a log."""
    if kind == "link":
        path.symlink_to(home)
    elif kind == "hard link":
        os.link(home, path)
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["link", "hard link", "FIFO", "directory"])
def test_what_stands_in_the_place_of_a_log_is_neither_written_nor_waited_for(
    room: Room, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = room.base / "bashrc"
    home.write_text("alias ll='ls -l'\n")
    node = room.start()
    task = room.submit(room.script("echo mine"))
    log = Path(room.paths.first_log(task))
    real = node.spool.transitions.claim

    def claim(waiting: Waiting, claim: Claim, *, to_run: bool = True) -> Claimed | NotClaimed:
        if claim.number == 1:
            in_the_way(kind, log, home)
        return real(waiting, claim, to_run=to_run)

    monkeypatch.setattr(node.spool.transitions, "claim", claim)
    node.go_on(5)
    assert room.where(task) == ["pending"], "this node could not start it, which is no failure of its own"
    assert room.runs(task) == 0
    assert any("cannot write the log" in said and str(log) in said for said in node.said), node.said
    assert home.read_text() == "alias ll='ls -l'\n"
    for _ in range(8):
        node.step(10.0)
    node.settle_all()
    assert room.where(task) == ["done"]
    assert "mine" in next(Path(room.paths.logs).glob("*.try2.*")).read_text()


def test_a_log_whose_directory_goes_away_between_claim_and_script_costs_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script writes into the file that was opened with the claim."""
    node = room.start()
    real = node.spool.transitions.claim
    logs = Path(room.paths.logs)

    def claim(waiting: Waiting, claim: Claim, *, to_run: bool = True) -> Claimed | NotClaimed:
        result = real(waiting, claim, to_run=to_run)
        logs.rename(room.base / "logs")
        return result

    monkeypatch.setattr(node.spool.transitions, "claim", claim)
    task = room.submit(room.script("echo hello; exit 0"))
    node.go_on(2)
    (room.base / "logs").rename(logs)
    node.settle_all()
    assert room.where(task) == ["done"]
    assert "hello" in room.log(task)


def test_the_last_line_of_a_log_tells_status_time_and_why(room: Room) -> None:
    node = room.start()
    good, bad = room.submit(room.script("exit 0")), room.submit(room.script("exit 3"))
    quitter = room.submit(room.script("kill $PPID; sleep 60"))
    node.settle_all()
    lasts = [room.log(task).splitlines()[-1] for task in (good, bad, quitter)]
    assert [last.split(" after ")[0] for last in lasts] == ["==== exit 0", "==== exit 3", "==== exit 143"]
    assert lasts[2].endswith(" s (told TERM)"), "nobody took the node back"


def test_a_log_has_one_last_line_although_its_agent_died_before_and_after_it_wrote_that(room: Room) -> None:
    first = room.start()
    task = room.submit(room.script("exit 3"))
    with failing_renames(room, Fault("failed", is_done=False, error=None)), pytest.raises(Crash):
        first.settle_all()
    first.die()
    room.start().settle_all()
    assert room.where(task) == ["failed"]
    assert room.log(task).count("==== exit 3 after") == 1


def test_no_descriptor_is_left_of_a_log(room: Room) -> None:
    node = room.start()
    tasks = [room.submit(room.script(end)) for end in ("exit 0", "exit 1", "kill -9 $PPID")]
    tasks.append(room.submit("#!/bin/sh\n#GPUQ --gpus x\n"))
    long = room.submit(room.script("sleep 600"))

    def began() -> bool:
        node.step(0.5)
        return "started" in room.log(long)

    wait_until(began, "the long task")

    def settled() -> bool:
        node.step()
        return all(room.where(task) in (["done"], ["failed"]) for task in tasks)

    wait_until(settled, "the short ones")
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    ours = [os.readlink(link) for link in links if os.path.lexists(link)]
    assert [path for path in ours if path.startswith(room.paths.logs)] == [], "the long one has its own"
