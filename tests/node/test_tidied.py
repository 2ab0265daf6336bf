"""Somebody, or a cleaner of /tmp, takes away what an agent that runs has made or needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.agent.harness import wait_until
from tests.node.harness import Node, Room


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


@pytest.mark.parametrize("first_agent", ["the one that started it", "the next one"])
@pytest.mark.parametrize("what", ["the directory", "its files"])
def test_a_queue_stays_its_running_tasks_although_somebody_removes_the_tokens(
    room: Room, what: str, first_agent: str
) -> None:
    first = room.start()
    gate = room.base / "gate"
    task = room.submit(room.script(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 0"), queue="car")

    def began() -> bool:
        first.step(0.1)
        return room.runs(task) == 1

    wait_until(began, "the first task")
    if first_agent == "the next one":
        first.die()
        first = room.start()
        first.step()
        first.step()
    if what == "the directory":
        shutil.rmtree(room.root / "queues")
    else:
        for token in (room.root / "queues").iterdir():
            token.unlink()
    for _ in range(3):
        first.step()
    second = room.start(name="n2")
    other = room.submit(room.script(), queue="car")
    for _ in range(6):
        first.step()
        second.step()
    assert room.runs(other) == 0, [node.said for node in (first, second)]
    gate.touch()
    until_done(task, room, first, second)
    until_done(other, room, second, first)
    assert (room.runs(task), room.runs(other)) == (1, 1)


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


# The node's own directory, while a task runs


def a_task_on_the_gpu(room: Room, node: Node) -> tuple[str, Path]:
    """One that has the only GPU until the file is there."""
    gate = room.base / "gate"
    task = room.submit(room.script(f"while [ ! -e {gate} ]; do sleep 0.02; done; exit 0", head="#GPUQ --gpus 1"))

    def began() -> bool:
        node.step(0.1)
        return room.runs(task) == 1

    wait_until(began, "the first task")
    return task, gate


def until_done(task: str, room: Room, *nodes: Node) -> None:
    def done() -> bool:
        for node in nodes:
            if not node.agent.finished:
                node.step()
        return room.where(task) == ["done"]

    wait_until(done, f"{task} in done: {[node.said for node in nodes]}")


@pytest.mark.parametrize("first_agent", ["lives", "lives, and is slow", "is dead"])
@pytest.mark.parametrize("what", ["", "gpus", "agents"])
def test_a_gpu_is_not_given_out_twice_although_the_nodes_own_directory_was_removed(
    room: Room, first_agent: str, what: str
) -> None:
    first = room.start(gpus="1", machine="m")
    task, gate = a_task_on_the_gpu(room, first)
    shutil.rmtree(Path(first.around.node_directory.root) / what)
    if first_agent == "is dead":
        first.die()
    other = room.submit(room.script(head="#GPUQ --gpus 1"))
    second = room.start(name="n2", gpus="1", machine="m")
    both = (first, second) if first_agent == "lives" else (second,)
    for _ in range(6):
        for node in both:
            node.step()
    assert room.runs(other) == 0, [node.said for node in both]
    gate.touch()
    for _ in range(90 if first_agent == "is dead" else 0):
        second.step()
    if first_agent != "is dead":
        until_done(task, room, first, second)
    until_done(other, room, second, *([first] if first.lived else []))
    assert (room.runs(task), room.runs(other)) == (1, 1)


@pytest.mark.parametrize("task_is", ["its own", "taken up", "about to be taken up"])
@pytest.mark.parametrize("what", ["", "gpus", "agents", "agents/*/tries"])
def test_an_agent_makes_its_place_again_and_its_task_ends_as_if_nothing_had_been(
    room: Room, what: str, task_is: str
) -> None:
    node = room.start(gpus="1")
    task, gate = a_task_on_the_gpu(room, node)
    if task_is != "its own":
        node.die()
        node = room.start(gpus="1")
    for _ in range(2 if task_is == "taken up" else 0):
        node.step()
    root = Path(node.around.node_directory.root)
    for path in root.glob(what) if what else [root]:
        shutil.rmtree(path)
    node.step()
    node.step()
    assert len(node.around.leases.holders()) == 1
    told = sum("somebody has removed" in said for said in node.said)
    assert told == 1 or (told == 0 and task_is == "about to be taken up"), node.said
    gate.touch()
    until_done(task, room, node)
    wait_until(lambda: node.around.leases.holders() == {}, "its GPU")
    assert room.runs(task) == 1
    assert "==== exit 0" in room.log(task)


def test_an_agent_whose_place_another_has_taken_leaves_its_tasks_to_it(room: Room) -> None:
    first = room.start(gpus="1")
    task, gate = a_task_on_the_gpu(room, first)
    shutil.rmtree(first.around.node_directory.root)
    second = room.start(gpus="1")
    second.step()
    first.step()
    assert first.agent.place.is_lost, first.said
    assert first.agent.finished
    first.die()
    gate.touch()
    until_done(task, room, second)
    assert room.runs(task) == 1


def test_where_the_place_cannot_be_made_again_nothing_is_started_and_people_are_told(room: Room) -> None:
    node = room.start(gpus="1")
    node.go_on()
    root = Path(node.around.node_directory.root)
    shutil.rmtree(root)
    root.write_text("mine\n")
    task = room.submit(room.script(head="#GPUQ --gpus 1"))
    for _ in range(5):
        node.step()
    assert room.where(task) == ["pending"]
    assert any("nothing is started" in problem for problem in node.page().problems)
    assert sum("nothing is started" in said for said in node.said) == 1
    root.unlink()
    node.settle_all()
    assert room.where(task) == ["done"]
