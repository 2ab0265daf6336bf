"""What nodes tell of serial queues, by real agents: right after a restart, and with two of them."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from gpu_queue.spool.paths import full_name
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.spool.snapshot.view import QueueView
from tests.agent.harness import Cluster, wait_until


def counts(cluster: Cluster) -> list[dict[str, tuple[int, ...]]]:
    """What each living agent's page tells: pending, running, done, failed."""
    keys = ("pending", "running", "done", "failed")
    living = [page for page in cluster.nodes() if page["state"] != "stopped"]
    return [{one["queue"]: tuple(one[key] for key in keys) for one in page["queues"]} for page in living]


def seen_by_python(cluster: Cluster, queue: str) -> QueueView:
    seen = SnapshotReader(cluster.paths).refresh(time.monotonic())
    return next(one for one in seen.queues if one.queue == queue)


def test_a_queue_is_told_as_it_is_before_and_after_its_agent_was_killed(cluster: Cluster) -> None:
    agent = cluster.start("--poll", "0.2")
    for script in ("true", "true", "exit 3"):
        last = cluster.submit(f"{script}\n", gpus="0", queue="car")
    gate = cluster.base / "gate"
    waits = f"until [ -e {shlex.quote(str(gate))} ]; do sleep 0.05; done\n"
    first = cluster.submit(waits, gpus="0", queue="bird")
    cluster.submit("true\n", gpus="0", queue="bird")
    told = {"car": (0, 0, 2, 1), "bird": (1, 1, 0, 0)}
    wait_until(lambda: counts(cluster) == [told], f"{told}, not {counts(cluster)}", dump=cluster.dump)
    view = seen_by_python(cluster, "bird")
    assert (view.is_busy, view.pending, view.running, view.done) == (True, 1, 1, 0)
    assert view.holders == (first,)
    cluster.kill(agent)
    cluster.start("--poll", "0.2")
    wait_until(lambda: counts(cluster)[-1] == told, "the same by its successor", dump=cluster.dump)
    failed = Path(cluster.paths.root, "failed", full_name(500, last))
    failed.rename(Path(cluster.paths.root, "pending", failed.name))  # as gpu_retry does; it fails again
    wait_until(lambda: len(cluster.tries(last)) == 2, "one more try", dump=cluster.dump)
    cluster.wait_for(last, "failed")
    gate.touch()
    told = {"car": (0, 0, 2, 1), "bird": (0, 0, 2, 0)}
    wait_until(lambda: counts(cluster)[-1] == told, f"{told}", dump=cluster.dump)


def test_two_nodes_tell_the_same_of_a_queue_that_both_have_served(cluster: Cluster) -> None:
    for name in ("one", "two"):
        cluster.local = cluster.base / name
        cluster.start("--poll", "0.2", "--node-name", name)
    ids = [cluster.submit("sleep 0.3\n", gpus="0", queue=queue) for queue in ("a", "b") for _ in range(5)]
    for task_id in ids:
        cluster.wait_for(task_id, "done", 40.0)
    told = {"a": (0, 0, 5, 0), "b": (0, 0, 5, 0)}
    wait_until(lambda: counts(cluster) == [told, told], "both tell of all", 30.0, dump=cluster.dump)
    assert (seen_by_python(cluster, "a").done, seen_by_python(cluster, "a").is_busy) == (5, False)
