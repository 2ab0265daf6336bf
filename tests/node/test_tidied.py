"""Somebody, or a cleaner of /tmp, takes away what an agent that runs has made or needs."""

from __future__ import annotations

import os
import shutil

from tests.node.harness import Room


def test_tasks_run_although_the_nodes_own_directory_has_gone(room: Room) -> None:
    node = room.start(gpus="1")
    first = room.submit(room.script(head="#GPUQ --gpus 1"))
    node.settle_all()
    shutil.rmtree(node.around.node_directory.root)
    tasks = [room.submit(room.script(head=f"#GPUQ --gpus {gpus}")) for gpus in (1, 0, 1)]
    node.settle_all()
    assert [room.where(task) for task in (first, *tasks)] == [["done"]] * 4, node.said


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
