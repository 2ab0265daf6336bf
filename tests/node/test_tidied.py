"""Somebody, or a cleaner of /tmp, takes away what an agent that runs has made or needs."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.agent.harness import wait_until
from tests.node.harness import Room


def test_tasks_run_although_the_nodes_own_directory_has_gone(room: Room) -> None:
    node = room.start(gpus="1")
    first = room.submit(room.script(head="#GPUQ --gpus 1"))
    node.settle_all()
    shutil.rmtree(node.around.node_directory.root)
    tasks = [room.submit(room.script(head=f"#GPUQ --gpus {gpus}")) for gpus in (1, 0, 1)]
    node.settle_all()
    assert [room.where(task) for task in (first, *tasks)] == [["done"]] * 4, node.said


DIRECTORIES = ("logs", "done", "nodes", "records", "failed", "queues", "events", "control", "pending")


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_directory_that_somebody_removes_is_made_again_and_no_task_fails_or_stalls(
    room: Room, directory: str
) -> None:
    node = room.start()
    gate = room.base / "gate"
    running = room.submit(room.script(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 0"), queue="car")

    def began() -> bool:
        node.step(0.1)
        return room.runs(running) == 1

    wait_until(began, "the first task")
    shutil.rmtree(room.root / directory)
    gate.touch()
    (room.root / "pending").mkdir(exist_ok=True)
    (room.root / "records").mkdir(exist_ok=True)
    later = [room.submit(room.script("exit 0"), queue="car"), room.submit(room.script("exit 3"))]
    for _ in range(10):
        node.go_on()
    node.settle_all()
    assert [room.where(task) for task in (running, *later)] == [["done"], ["done"], ["failed"]], node.said
    assert [room.runs(task) for task in (running, *later)] == [1, 1, 1]
    assert all((room.root / one).is_dir() for one in DIRECTORIES)
    assert len(node.said) == len(set(node.said)), "a line for each trouble, and not one a second"
    node.step(1.0)
    assert (room.root / "nodes" / "n1.json").exists()


@pytest.mark.parametrize("directory", ["logs", "done", "records", "failed", "queues", "events"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_where_something_else_stands_in_the_place_of_a_directory_tasks_wait_and_people_are_told(
    room: Room, directory: str, kind: str
) -> None:
    node = room.start()
    node.go_on(2)
    elsewhere = room.base / "home"
    elsewhere.mkdir()
    place = room.root / directory
    shutil.rmtree(place)
    if kind == "file":
        place.write_text("mine\n")
    else:
        place.symlink_to(elsewhere)
    node.go_on(8)
    name = "500-20260101T000000000-abcdef-t.sh"
    (room.root / "pending" / name).write_text(room.script())
    node.go_on(8)
    assert room.runs(name[4:]) == 0
    assert any(f"{place}: expected a directory" in problem for problem in node.page().problems)
    assert os.listdir(elsewhere) == [], "nothing is put where a link leads"
    place.unlink()
    node.go_on(12)
    node.settle_all()
    assert room.where(name[4:]) == ["done"], node.said


def test_a_node_whose_place_a_peer_has_begun_to_put_away_takes_it_again(room: Room) -> None:
    node = room.start()
    node.go_on()
    os.unlink(room.paths.running_keeper("n1"))
    node.go_on(70)
    assert room.listing("running/n1") == ["node"]


def test_where_the_storage_itself_is_away_no_other_queue_is_made_in_its_place(room: Room) -> None:
    node = room.start()
    node.go_on(2)
    away = room.base / "away"
    room.root.rename(away)
    room.root.mkdir()  # a mount point without its server
    node.go_on(40)
    assert os.listdir(room.root) == []
    room.root.rmdir()
    away.rename(room.root)
    task = room.submit(room.script())
    node.settle_all()
    assert room.where(task) == ["done"]
