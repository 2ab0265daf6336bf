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


def test_a_node_that_only_holds_gpus_for_such_a_task_says_at_its_end_that_nothing_runs(cluster: Cluster) -> None:
    runs = cluster.submit("echo begun; sleep 600\n")
    first = Machine(cluster, "n1", simulate="1", env={})
    cluster.wait_for_line(runs, "begun")
    Machine(cluster, "n2", simulate="1", env={})
    cluster.submit("#GPUQ --nodes 2 --gpus 1\ntrue\n", "train.sh")
    wait_until(lambda: any(Path(cluster.paths.gangs).glob("*/call")), "the call", dump=cluster.dump)
    stem = cluster.command_all("shutdown", wait=False)

    def answers() -> list[Path]:
        return list(Path(cluster.paths.control).glob(f"{stem}.*.ack"))

    wait_until(lambda: len(answers()) == 2, "both answers", dump=cluster.dump)
    told = {path.name.split(".")[1]: path.read_text() for path in answers()}
    assert "1 running task goes back to pending" in told.pop(first.node)
    assert "nothing runs" in "".join(told.values())
