"""Tasks over several nodes with real agents: what a rank, an agent or a node does to them, and who is beside them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.agent.harness import QUICK, Cluster, wait_until
from tests.faults.machine import TAKEOVER_S, Machine

MEETING = """
: >"$QUEUE_ROOT/here.$GPU_QUEUE_TRY.$NODE_RANK"
until [ -e "$QUEUE_ROOT/here.$GPU_QUEUE_TRY.0" ] && [ -e "$QUEUE_ROOT/here.$GPU_QUEUE_TRY.1" ]; do sleep 0.05; done
"""
"""Both ranks of a try are there at once."""
UNTIL_TOLD = MEETING + 'until [ -e "$QUEUE_ROOT/finish" ]; do sleep 0.05; done\n'
ALL_REDUCE = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
one = torch.tensor([float(dist.get_rank())])
dist.all_reduce(one)
print(f"rank {dist.get_rank()} of {dist.get_world_size()}: sum {one.item():.0f}", flush=True)
"""
SLURM = """#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=2
#SBATCH --gpus-per-task=2
nodes=( $( scontrol show hostnames $SLURM_JOB_NODELIST ) )
nodes_array=($nodes)
head_node=${nodes_array[0]}
head_node_ip=$(srun --nodes=1 --ntasks=1 -w "$head_node" hostname --ip-address)
srun torchrun --nnodes 2 --nproc_per_node 2 --rdzv_id $RANDOM --rdzv_backend c10d \\
  --rdzv_endpoint $head_node_ip:$((20000 + SLURM_JOB_ID % 9000)) reduce.py
"""
"""As people have it."""


def of_rank(cluster: Cluster, task: str, rank: int, number: int = 1) -> str:
    beginning = f"{task}.try{number}." if number > 1 else f"{task}."
    ending = f".rank{rank}.log" if rank else ".log"
    found = [
        path
        for path in Path(cluster.paths.logs).glob(f"{beginning}*log")
        if path.name.endswith(ending) and (rank or ".rank" not in path.name[len(task) :])
    ]
    return "".join(path.read_text(errors="replace") for path in found)


def begins(cluster: Cluster, number: int = 1, timeout_s: float = 60.0) -> None:
    places = [cluster.queue_root / f"here.{number}.{rank}" for rank in (0, 1)]
    wait_until(
        lambda: all(place.exists() for place in places), f"both ranks of try {number}", timeout_s, cluster.dump
    )


def leader_of(cluster: Cluster, machines: list[Machine], task: str) -> tuple[Machine, Machine]:
    """The machine that has the task's claim, and the other."""
    first, second = machines
    has = any(task in name for name in os.listdir(cluster.paths.running(first.node)))
    return (first, second) if has else (second, first)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("script", ["#GPUQ --nodes 2 --gpus 2\ntorchrun reduce.py\n", SLURM], ids=["plain", "slurm"])
def test_torchrun_reduces_over_two_nodes(cluster: Cluster, script: str) -> None:
    (cluster.base / "reduce.py").write_text(ALL_REDUCE)
    here = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for number in (1, 2):
        Machine(cluster, f"n{number}", simulate="2", env=here)
    task = cluster.submit(script, "train.sh")
    cluster.wait_for(task, "done", 240)
    told = of_rank(cluster, task, 0) + of_rank(cluster, task, 1)
    assert sorted(line for line in told.splitlines() if line.startswith("rank")) == [
        f"rank {rank} of 4: sum 6" for rank in range(4)
    ]


def test_a_rank_that_fails_ends_the_others_and_says_which_it_was(cluster: Cluster) -> None:
    machines = [Machine(cluster, f"n{number}", simulate="1") for number in (1, 2)]
    failing = f"#GPUQ --nodes 2 --gpus 1 --retries 0\n{MEETING}if [ $NODE_RANK = 1 ]; then exit 3; fi\nsleep 600\n"
    task = cluster.submit(failing, "train.sh")
    cluster.wait_for(task, "failed", 60)
    (record,) = cluster.tries(task)
    assert record["status"] == 3
    assert "rank 1" in record["reason"]
    assert {row["node"] for row in record["ranks"]} == {machine.node for machine in machines}
    assert record["ranks"][1]["status"] == 3
    first, second = (of_rank(cluster, task, rank).splitlines()[-1] for rank in (0, 1))
    assert first.startswith("==== exit 143 after ")
    assert first.endswith(f" s ({record['reason']})")
    assert second.startswith("==== exit 3 after ")
    following = cluster.submit("#GPUQ --nodes 2 --gpus 1\ntrue\n", "next.sh")
    cluster.wait_for(following, "done", 60)


@pytest.mark.parametrize("whose", ["leader", pytest.param("member", marks=pytest.mark.long)])
def test_an_agent_that_is_killed_finds_its_rank_again(cluster: Cluster, whose: str) -> None:
    machines = [Machine(cluster, f"n{number}", simulate="1") for number in (1, 2)]
    task = cluster.submit(f"#GPUQ --nodes 2 --gpus 1\n{UNTIL_TOLD}", "train.sh")
    begins(cluster)
    struck = leader_of(cluster, machines, task)[whose == "member"]
    cluster.kill(struck.agent)
    struck.agent = cluster.start(*struck.flags, simulate="1", env={"GPU_QUEUE_BEAT": "1s"})
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done", 60)
    (record,) = cluster.tries(task)
    assert [row["status"] for row in record["ranks"]] == [0, 0]
    assert not (cluster.queue_root / "here.2.0").exists()


@pytest.mark.parametrize("whose", ["leader", pytest.param("member", marks=pytest.mark.long)])
def test_a_node_that_is_gone_ends_the_try_and_the_task_begins_anew_on_others(cluster: Cluster, whose: str) -> None:
    machines = [Machine(cluster, f"n{number}", simulate="1") for number in (1, 2)]
    task = cluster.submit(f"#GPUQ --nodes 2 --gpus 1\n{UNTIL_TOLD}", "train.sh")
    begins(cluster)
    struck = leader_of(cluster, machines, task)[whose == "member"]
    struck.power_off()
    Machine(cluster, "n3", simulate="1")
    begins(cluster, 2, 60 + 4 * TAKEOVER_S)
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done", 60)
    wait_until(lambda: not os.listdir(cluster.paths.gangs), "gangs/ to be tidied", 60, cluster.dump)


def test_a_stop_ends_all_ranks_and_frees_their_gpus(cluster: Cluster) -> None:
    for number in (1, 2):
        Machine(cluster, f"n{number}", simulate="1")
    task = cluster.submit(f"#GPUQ --nodes 2 --gpus 1\n{UNTIL_TOLD}", "train.sh")
    begins(cluster)
    (claim,) = (
        name for node in cluster.nodes() for name in os.listdir(cluster.paths.running(node["node"])) if task in name
    )
    cluster.command_all("stop", claims=[claim])
    cluster.wait_for(task, "failed", 60)
    small = [cluster.submit("#GPUQ --gpus 1\ntrue\n", f"small{number}.sh") for number in range(4)]
    for one in small:
        cluster.wait_for(one, "done", 60)


@pytest.mark.timeout(300)
def test_two_that_want_each_others_nodes_both_run_and_200_small_ones_wait_for_neither_in_vain(
    cluster: Cluster,
) -> None:
    count = int(os.environ.get("GPU_QUEUE_TEST_ALL", "0") == "1") * 160 + 40
    small = '#GPUQ --gpus 1\n: >>"$QUEUE_ROOT/order"; echo small >>"$QUEUE_ROOT/order"\n'
    gang = '#GPUQ --nodes 2 --gpus 2\necho "gang $GPU_QUEUE_TASK" >>"$QUEUE_ROOT/order"\n'
    # Both are there before anything waits: as long as one is alone no task over two nodes keeps others back.
    for number in (1, 2):
        Machine(cluster, f"n{number}", simulate="2", env={name: QUICK[name] for name in ("GPU_QUEUE_POLL",)})
    before = [cluster.submit(small, f"before{number}.sh") for number in range(count // 2)]
    gangs = [cluster.submit(gang, f"gang{number}.sh") for number in (1, 2)]
    after = [cluster.submit(small, f"after{number}.sh") for number in range(count // 2)]
    for task in (*before, *gangs, *after):
        cluster.wait_for(task, "done", 240)
    order = (cluster.queue_root / "order").read_text().split("\n")
    places = [at for at, line in enumerate(order) if line.startswith("gang")]
    assert len(places) == 4
    # Those that stand behind them were not let past for ever: no gang ran last.
    assert max(places) < len(order) - count // 4


def test_an_agent_that_leaves_gives_the_whole_task_back(cluster: Cluster) -> None:
    for number in (1, 2):
        Machine(cluster, f"n{number}", simulate="1")
    task = cluster.submit(f"#GPUQ --nodes 2 --gpus 1\n{UNTIL_TOLD}", "train.sh")
    begins(cluster)
    cluster.agents[1].send_signal(signal.SIGTERM)  # whoever leaves gives the task back, and nothing is counted
    wait_until(lambda: cluster.where(task) == ["pending"], "it to go back", 60, cluster.dump)
    (record,) = cluster.tries(task)
    assert record["outcome"] == "requeued"
    Machine(cluster, "n3", simulate="1")
    begins(cluster, 2)
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done", 60)
