"""Real agents in allocations of a cluster, as their environments tell of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from typing import Any

import pytest

from gpu_queue.states import EXIT_SERVED
from tests.agent.harness import Cluster, wait_until

DEAF = "trap '' TERM; echo deaf; while :; do sleep 0.1; done\n"


def page_of(cluster: Cluster, pid: int) -> dict[str, Any]:
    (page,) = (page for page in cluster.nodes() if page["pid"] == pid)
    return page


def said(cluster: Cluster, text: str) -> None:
    wait_until(lambda: text in cluster.output.read_text(), repr(text), dump=cluster.dump)


@pytest.mark.parametrize(
    "jobs",
    [
        ({"SLURM_JOB_ID": "1234"}, {"SLURM_JOB_ID": "1235"}),
        ({"GPU_QUEUE_ALLOCATION": "sco:ydj-exp/0a0b0c"}, {"GPU_QUEUE_ALLOCATION": "sco:ydj-exp/0d0e0f"}),
    ],
    ids=["slurm", "sco"],
)
def test_two_allocations_on_one_host_serve_beside_each_other_each_its_own_gpus(
    cluster: Cluster, jobs: tuple[dict[str, str], dict[str, str]]
) -> None:
    agents = [cluster.start("--gpus", str(number), env=job) for number, job in enumerate(jobs)]
    pages = [page_of(cluster, agent.pid) for agent in agents]
    assert pages[0]["node"] != pages[1]["node"]
    assert [page["gpus"][0]["index"] for page in pages] == [0, 1]
    tasks = [cluster.submit("while [ ! -e go ]; do sleep 0.05; done\n") for _ in range(2)]
    wait_until(lambda: len(cluster.ids("running")) == 2, "both to run", dump=cluster.dump)
    (cluster.base / "go").touch()
    for task in tasks:
        cluster.wait_for(task, "done")
    gpus = [record["gpu_indices"] for task in tasks for record in cluster.tries(task)]
    assert sorted(gpus) == [[0], [1]]


def test_a_page_names_the_allocation(cluster: Cluster) -> None:
    agent = cluster.start(SLURM_JOB_ID="1234", SLURM_RESTART_COUNT="1")
    page = page_of(cluster, agent.pid)
    assert page["allocation"] == "slurm:1234.1"
    assert page["node"].startswith(f"{os.uname().nodename.split('.')[0]}-1234-")
    assert cluster.node_text().splitlines()[0].split("\t")[11] == "slurm:1234.1"


@pytest.mark.parametrize("job", [{}, {"SLURM_JOB_ID": "1234"}], ids=["none", "one"])
def test_a_second_agent_of_the_same_allocation_is_refused(cluster: Cluster, job: dict[str, str]) -> None:
    cluster.start(env=job)
    assert cluster.start(wait=False, env=job).wait(20) == EXIT_SERVED
    said(cluster, "an agent already serves")


def test_a_check_tells_the_allocation_and_what_follows_from_it(cluster: Cluster) -> None:
    end = {"GPU_QUEUE_ALLOCATION_END": f"{time.time() + 7200:.0f}", "GPU_QUEUE_LEAVE_GRACE": "60s"}
    environment = cluster.environment(SLURM_JOB_ID="1234", GPU_QUEUE_ALLOCATION_GRACE="x", **end)
    done = subprocess.run(
        cluster.command("--check"), env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    told = [line[12:] for line in done.stdout.splitlines() if line.startswith("allocation  ")]
    assert told[0].startswith("slurm:1234.0 ends at ")
    assert told[1].endswith("kills 30s after its TERM, so that tasks get 22s of the leave_grace of 1m")
    assert told[2].startswith("GPU_QUEUE_ALLOCATION_GRACE: 'x'; expected seconds")
    assert re.search(r"^lifetime    1h5\dm\d+s, cut to its allocation, then waits", done.stdout, re.MULTILINE)
    assert re.search(r"^node        [^ ]+-1234-", done.stdout, re.MULTILINE)


def test_a_name_that_was_given_wins(cluster: Cluster) -> None:
    cluster.start(SLURM_JOB_ID="1234", GPU_QUEUE_NODE_NAME="mine")
    assert cluster.start(wait=False, SLURM_JOB_ID="1235", GPU_QUEUE_NODE_NAME="mine").wait(20) == EXIT_SERVED
    (page,) = cluster.nodes()
    assert page["node"].startswith("mine-")


def test_what_is_garbled_is_a_warning_and_the_agent_serves(cluster: Cluster) -> None:
    cluster.start(GPU_QUEUE_ALLOCATION="\x1b[2J", GPU_QUEUE_ALLOCATION_END="soon", GPU_QUEUE_ALLOCATION_GRACE="x")
    for name in ("GPU_QUEUE_ALLOCATION", "GPU_QUEUE_ALLOCATION_END", "GPU_QUEUE_ALLOCATION_GRACE"):
        said(cluster, f"[WARN] {name}: ")
    cluster.wait_for(cluster.submit("echo works\n"), "done")


def test_a_deaf_task_is_back_before_the_platform_kills(cluster: Cluster) -> None:
    agent = cluster.start(
        GPU_QUEUE_ALLOCATION="ray:mine", GPU_QUEUE_LEAVE_GRACE="40s", GPU_QUEUE_ALLOCATION_GRACE="10"
    )
    said(cluster, "[WARN] Allocation ray:mine: the platform kills 10s after its TERM, so that tasks get 2.5s of the")
    task = cluster.submit(DEAF)
    cluster.wait_for_line(task, "deaf")
    for pid in cluster.own_processes():  # as the platform does it: to all
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    told_at = time.monotonic()
    agent.wait(10)
    assert cluster.where(task) == ["pending"]
    assert time.monotonic() - told_at < 10
    assert not cluster.own_processes()


def test_running_tasks_go_back_before_the_allocation_ends_also_where_the_agent_would_wait(cluster: Cluster) -> None:
    end_s = time.time() + 14
    agent = cluster.start("--at-end", "wait", "--lifetime", "3s", env={"GPU_QUEUE_ALLOCATION_END": f"{end_s:.0f}"})
    task = cluster.submit("echo begun; sleep 600\n")
    cluster.wait_for_line(task, "begun")
    assert agent.wait(14) == 0
    assert time.time() < end_s
    assert cluster.where(task) == ["pending"]
    (record,) = cluster.tries(task)
    assert record["why"] == "requeue"


def test_the_lifetime_is_cut_to_the_allocation_and_a_task_that_does_not_fit_is_not_begun(cluster: Cluster) -> None:
    end = {"GPU_QUEUE_ALLOCATION_END": f"{time.time() + 3600:.0f}", "GPU_QUEUE_ALLOCATION_GRACE": "30"}
    cluster.start(env=end)
    said(cluster, ", cut to its allocation)")
    long = cluster.submit("#GPUQ --time 3590s\necho never\n")
    short = cluster.submit("#GPUQ --time 3500s\necho fits\n")
    limited = cluster.submit("#SBATCH --time=24:00:00\necho begun: that limit is no promise\n")
    cluster.wait_for(short, "done")
    cluster.wait_for(limited, "done")
    assert cluster.where(long) == ["pending"]
    (wait,) = wait_until(lambda: cluster.nodes()[0]["waiting"]["why"], "its reason", dump=cluster.dump)
    assert wait["code"] == "lifetime"


def test_a_task_finds_nothing_of_the_allocation(cluster: Cluster) -> None:
    outer = {
        "GPU_QUEUE_ALLOCATION": "sco:ydj-exp/0a0b0c",
        "GPU_QUEUE_ALLOCATION_GRACE": "30",
        "GPU_QUEUE_SLOT": "1.2",
        "GPU_QUEUE_SWEEP": "off",
        "SENSECORE_PYTORCH_NNODES": "2",
        "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "10.0.0.1",
    }
    cluster.start(env={**outer, "RAY_ADDRESS": "10.0.0.1:6379", "WANDB_PROJECT": "mine"})
    task = cluster.submit("export RANK=0\nenv\n")
    cluster.wait_for(task, "done")
    names = {line.partition("=")[0] for line in cluster.log(task).splitlines()}
    assert not names & outer.keys()
    assert {"RAY_ADDRESS", "WANDB_PROJECT", "RANK"} <= names
