"""What a running task prints is pushed to the server of a network filesystem."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpu_queue.node.logpush import LogPusher
from tests.agent.harness import wait_until
from tests.node.harness import LOCAL, NETWORK, Node, Room


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
