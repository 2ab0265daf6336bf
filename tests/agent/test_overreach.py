"""Tasks that use GPUs which are not theirs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gpu_queue.agent.overreach import User, judge, look
from gpu_queue.gpus.processes import GpuProcesses, SimulatedProcesses, processes_of
from gpu_queue.spool.spool import Spool
from tests.agent.harness import ROOT, Cluster, put, wait_until

FIRST, SECOND = (f"GPU-00000000-0000-0000-0000-{index:012x}" for index in range(2))


class Told(GpuProcesses):
    """What a driver tells."""

    def __init__(self, pids: Mapping[str, tuple[int, ...]] | None) -> None:
        self.pids = pids

    def gpu_processes(self) -> Mapping[str, tuple[int, ...]] | None:
        return self.pids


def test_only_what_is_known_is_judged() -> None:
    ours, other, unknown = User(1, "python", "ours"), User(2, "python", "other"), User(3, "python", "gone")
    uses = {FIRST: (ours, unknown), SECOND: (other, ours, User(4, "late", "ours"))}
    leased = {"ours": frozenset({FIRST}), "other": frozenset({SECOND}), "without": frozenset[str]()}
    assert judge(uses, leased) == {"ours": {SECOND: ours}}
    assert judge({FIRST: (User(5, "sh", "without"),)}, leased) == {"without": {FIRST: User(5, "sh", "without")}}
    assert judge({}, leased) == {}


def test_processes_are_known_by_their_mark() -> None:
    marked = {**os.environ, "GPU_QUEUE_CLAIM": "/spool/running/n/a-claim"}
    with subprocess.Popen(["sleep", "60"], env=marked) as process:
        try:
            # Its name and its environment come a moment after its program has begun.
            told, known = Told({FIRST: (process.pid, os.getppid())}), User(process.pid, "sleep", "a-claim")
            wait_until(lambda: look(told) == {FIRST: (known,)}, "the process by its mark")
            # A pid that is nobody's here is of another namespace, and so may the others be.
            assert look(Told({FIRST: (process.pid,), SECOND: (1 << 22,)})) is None
        finally:
            process.kill()
    assert look(Told(None)) is None


def test_simulated_gpus_tell_what_their_file_says(tmp_path: Path) -> None:
    state = tmp_path / "gpus.json"
    source = processes_of("simulated", str(state))
    assert source.gpu_processes() is None
    state.write_text('{"1": {"processes": [7, 8]}, "0": {"used": "1G"}}')
    assert source.gpu_processes() == {FIRST: (), SECOND: (7, 8)}
    state.write_text('{"x": 3')
    assert source.gpu_processes() is None
    assert SimulatedProcesses(None).gpu_processes() == {}


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
