"""Tasks over several nodes, with real agents: each a node with a local directory of its own."""

from __future__ import annotations

import os
from pathlib import Path

from tests.agent.harness import Cluster, wait_until
from tests.faults.machine import Machine

TOLD = 'echo "rank $NODE_RANK of $NNODES, $CUDA_VISIBLE_DEVICES, at $MASTER_ADDR:$MASTER_PORT"\n'


def log_of(cluster: Cluster, task: str, rank: int) -> str:
    return Path(cluster.paths.logs, f"{task}.rank{rank}.log" if rank else f"{task}.log").read_text()


def test_a_script_runs_once_on_each_of_its_nodes_and_is_one_task(cluster: Cluster) -> None:
    task = cluster.submit(f"#GPUQ --nodes 2 --gpus 2\n{TOLD}", "train.sh")
    small = [cluster.submit("#GPUQ --gpus 1\nsleep 0.2\n", f"small{number}.sh") for number in range(6)]
    machines = [Machine(cluster, f"n{number}", simulate="2", env={}) for number in (1, 2)]
    cluster.wait_for(task, "done")
    for one in small:
        cluster.wait_for(one, "done")
    (record,) = cluster.tries(task)
    assert [row["status"] for row in record["ranks"]] == [0, 0]
    assert {row["node"] for row in record["ranks"]} == {machine.node for machine in machines}
    told = [line for rank in (0, 1) for line in log_of(cluster, task, rank).splitlines() if line.startswith("rank")]
    assert [line.split(",")[0] for line in told] == ["rank 0 of 2", "rank 1 of 2"]
    wait_until(lambda: not os.listdir(cluster.paths.gangs), "its directory to be removed", dump=cluster.dump)
