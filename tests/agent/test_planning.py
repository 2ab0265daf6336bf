"""How a real agent of a shared server starts what waits."""

from __future__ import annotations

from typing import Any

from tests.agent.harness import Cluster, wait_until

QUICK = {"GPU_QUEUE_MODE": "shared", "GPU_QUEUE_CHECK_TIME": "0.3s"}
PATIENCE_S = 40.0


def indices(cluster: Cluster, task_id: str) -> list[int]:
    """The GPUs that it had."""
    record: dict[str, Any] = wait_until(lambda: cluster.tries(task_id), "its record", PATIENCE_S)[0]
    return list(record["gpu_indices"])


def test_no_more_tasks_run_at_once_than_the_owner_wants(cluster: Cluster) -> None:
    cluster.start("--max-concurrent", "1", env=QUICK)
    gate = cluster.base / "gate"
    first = cluster.submit('while [ ! -e "$HOME/gate" ]; do sleep 0.05; done\n', gpus="1")
    cluster.wait_for(first, "running", PATIENCE_S)
    second = cluster.submit("true\n", gpus="1")
    wait_until(lambda: "max_concurrent" in cluster.node_text(), "the reason", PATIENCE_S, cluster.dump)
    assert cluster.where(second) == ["pending"]
    gate.touch()
    cluster.wait_for(second, "done", PATIENCE_S)


def test_cards_have_their_turns_one_after_the_other(cluster: Cluster) -> None:
    cluster.start("--select", "round_robin", env=QUICK, simulate="3")
    had = []
    for _ in range(4):
        task_id = cluster.submit("sleep 0.5\n", gpus="1")
        cluster.wait_for(task_id, "done", PATIENCE_S)
        had += indices(cluster, task_id)
    assert had == [0, 1, 2, 0]


def test_larger_tasks_come_first(cluster: Cluster) -> None:
    small = cluster.submit("sleep 0.5\n", gpus="1")
    large = cluster.submit("sleep 0.5\n", gpus="2")
    cluster.start(env=QUICK)
    for task_id in (small, large):
        cluster.wait_for(task_id, "done", PATIENCE_S)
    began = [cluster.tries(task_id)[0]["started_at"] for task_id in (large, small)]
    assert began == sorted(began)

    def ends() -> list[str]:
        return [line for line in cluster.output.read_text().splitlines() if "succeeded" in line]

    wait_until(lambda: len(ends()) == 2, "both ends in the agent's log", dump=cluster.dump)
    order = ends()
    assert [task_id in line for task_id, line in zip((large, small), order, strict=True)] == [True, True]
