"""Real agents with simulated GPUs take a command file to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.experiments.commandfiles.loading import Load, load_files
from gpu_queue.experiments.commandfiles.reading import read_command_files
from tests.agent.harness import Cluster, a_cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    base = tmp_path / "it's a $(touch pwned) dir"
    base.mkdir()
    with a_cluster(base) as made:
        yield made


def busy(queue: int, name: str) -> str:
    """Commands that fail where another block of the queue runs at the same time, and note who they are."""
    return "\n".join(
        [
            f"mkdir {{work_dir}}/busy.{queue}",
            f"\"echo {name} {{uni_id}} {{available_gpu}} >> '{{work_dir}}/ran'\"",
            "sleep 0.2",
            f"rmdir {{work_dir}}/busy.{queue}",
            f"{queue},1",
        ]
    )


def test_queues_of_a_file_run_beside_each_other_and_each_in_order(cluster: Cluster) -> None:
    folder = cluster.base / "command"
    folder.mkdir()
    file = folder / "command_gpu.txt"
    failing = "echo {work_dir}\nexit 3\ntouch {work_dir}/never\n2,1"
    file.write_text("\n\n".join([busy(1, "a"), busy(2, "c"), busy(1, "b"), failing, busy(2, "e")]))
    cluster.start(simulate="2")
    tasks = load_files(cluster.paths, Load(tuple(read_command_files([str(file)])))).tasks
    ids = [task.id or "" for task in tasks]
    for task_id, state in zip(ids, ["done", "done", "done", "failed", "done"], strict=True):
        cluster.wait_for(task_id, state)
    ran = [line.split() for line in (cluster.base / "ran").read_text().splitlines()]
    names = [name for name, _, _ in ran]
    assert [name for name in names if name in "ab"] == ["a", "b"]
    assert [name for name in names if name in "ce"] == ["c", "e"]
    tokens = {record["token"]: record["gpu_indices"] for task_id in ids for record in cluster.tries(task_id)}
    for name, uni_id, gpu in ran:
        assert uni_id.startswith(f"500-{ids['acb-e'.index(name)]}.try1.")
        assert tokens[uni_id.rpartition(".")[2]] == [int(gpu)]
    assert [record["outcome"] for record in cluster.tries(ids[3])] == ["failed(3)"]
    assert not (cluster.base / "never").exists()
    with contextlib.suppress(FileNotFoundError):
        assert not list(cluster.base.glob("**/pwned"))


def test_a_block_for_several_gpus_gets_as_many_as_are_free(cluster: Cluster) -> None:
    file = cluster.base / "command_gpus_1.txt"
    file.write_text("1\necho {available_gpu} >> ran\n2-4\n1\n")
    cluster.start(simulate="3")
    load = Load(tuple(read_command_files([str(file)])), work_dir=str(cluster.base))
    (task,) = load_files(cluster.paths, load).tasks
    cluster.wait_for(task.id or "", "done")
    assert (cluster.base / "ran").read_text() == "0,1,2\n"
