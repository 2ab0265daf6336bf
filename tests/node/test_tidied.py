"""Somebody, or a cleaner of /tmp, removes the node's own directory while an agent runs."""

from __future__ import annotations

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
