"""Tasks that use GPUs which are not theirs."""

from __future__ import annotations

import json
import os
import subprocess

from gpu_queue.agent.overreach import judge
from gpu_queue.scheduling.tenancy import Tenant
from gpu_queue.spool.spool import Spool
from tests.agent.harness import ROOT, Cluster, put

FIRST, SECOND = (f"GPU-00000000-0000-0000-0000-{index:012x}" for index in range(2))


def user(pid: int, name: str, claim: str | None) -> Tenant:
    return Tenant(pid, 1, name, 1000, claim=claim, is_python=True)


def test_only_what_is_known_is_judged() -> None:
    ours, other, unknown = user(1, "python", "ours"), user(2, "python", "other"), user(3, "python", "gone")
    uses = {FIRST: (ours, unknown), SECOND: (other, ours, user(4, "late", "ours"), user(6, "python", None))}
    leased = {"ours": frozenset({FIRST}), "other": frozenset({SECOND}), "without": frozenset[str]()}
    assert judge(uses, leased) == {"ours": {SECOND: ours}}
    assert judge({FIRST: (user(5, "sh", "without"),)}, leased) == {"without": {FIRST: user(5, "sh", "without")}}
    assert judge({}, leased) == {}


def test_a_task_that_takes_another_gpu_is_told_so(cluster: Cluster) -> None:
    state = cluster.base / "gpus.json"
    cluster.start(GPU_QUEUE_SIMULATE_FILE=str(state))
    task_id = cluster.submit(
        "#!/bin/bash\nread -r CUDA_VISIBLE_DEVICES <<<1\necho $$ >pid\nexec sleep 600\n", gpus="1"
    )
    cluster.wait_for(task_id, "running")
    quiet = cluster.submit("exec sleep 600\n", gpus="0")
    cluster.wait_for(quiet, "running")
    pid = cluster.base / "pid"
    cluster.wait_for_line(task_id, "started ")
    while not pid.exists() or not pid.read_text():
        os.sched_yield()
    put(state, json.dumps({"0": {"processes": [int(pid.read_text())]}, "1": {"processes": [int(pid.read_text())]}}))
    told = f"it uses GPU 1, which it was not given (it has 0): process {pid.read_text().strip()} (sleep)"
    cluster.wait_for_line(task_id, f"==== {told}", timeout_s=50)
    assert "uses GPU" not in cluster.log(quiet)
    spool = Spool(cluster.job_id, queue_root=str(cluster.queue_root))
    running, noted = spool.explain(task_id).lines
    assert running.startswith("it runs on ")
    assert noted.startswith(told)
    for shell in (["bash"], ["zsh", "-f"]):
        done = subprocess.run(
            [*shell, "-c", f". '{ROOT}/client.sh'; gpu_explain {task_id}"],
            env={**os.environ, "QUEUE_ROOT": str(cluster.queue_root), "JOB_ID": cluster.job_id},
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        assert f"\n  {told}" in done.stdout
