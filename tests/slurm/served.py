"""A queue that agents in jobs of a real Slurm serve, submitted as people do it."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.agent.harness import QUICK, ROOT, Cluster, a_cluster, wait_until
from tests.slurm.cluster import Slurm

WAY = str(ROOT / "gpu_queue/ways/slurm")
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "")


class Served:
    """A spool, its tasks (``queue``), and the jobs that serve it."""

    def __init__(self, slurm: Slurm, queue: Cluster) -> None:
        self.slurm = slurm
        self.queue = queue
        # Each pretended node is a host of its own, so it has a directory of its own.
        python = queue.base / "python"
        python.write_text(
            f"#!/bin/bash\nexport GPU_QUEUE_LOCAL_DIR={shlex.quote(str(queue.local))}-$SLURMD_NODENAME\n"
            f'exec {shlex.quote(sys.executable)} "$@"\n'
        )
        python.chmod(0o755)
        self.environment = {
            **{name: value for name, value in slurm.environment.items() if not name.startswith(("GPU_", "JOB_ID"))},
            **QUICK,
            "HOME": str(queue.base),
            "QUEUE_ROOT": str(queue.queue_root),
            "GPU_QUEUE_SIMULATE": str(slurm.gpus),
            "GPU_QUEUE_KEEPALIVE": "off",
            "PYTHON": str(python),
        }

    # -- what people type

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.queue.base,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )

    def submit(self, *words: str, flags: tuple[str, ...] = (), **settings: str) -> list[str]:
        """``./submit.sh JOB_ID …``; returns the ids of the jobs."""
        command = (str(ROOT / "submit.sh"), self.queue.job_id, *words, "--way", "slurm")
        done = self.run(*command, *(("--", *flags) if flags else ()), **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return re.findall(r"^Submitted: slurm ([0-9]+),", done.stdout, re.M)

    def way(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """A verb of the way."""
        return self.run(WAY, *words, **settings)

    def states(self, *ids: str) -> list[list[str]]:
        """ID, word, the platform's own word, nonce and name of each."""
        done = self.way("states", *ids)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def word(self, job: str) -> str:
        return self.states(job)[0][1]

    # -- what becomes of it

    def agents(self) -> list[dict[str, Any]]:
        """The pages of the agents that have not said goodbye."""
        return [node for node in self.queue.nodes() if node["state"] != "stopped"]

    def wait_for_agents(self, *nodes: str) -> None:
        """Until agents of certain names serve, and no others; a name is ``n1-7``, of node and job."""

        def found() -> set[str]:
            return {node["node"].rpartition("-")[0] for node in self.agents()}

        wait_until(lambda: found() == set(nodes), f"agents {nodes}", 30.0, self.dump)

    def wait_for_end(self, *jobs: str, timeout_s: float = 60.0) -> None:
        """Until nothing of some jobs runs or waits."""
        for job in jobs:
            self.slurm.wait_for_state(job, *ENDED, timeout_s=timeout_s)

    def a_task(self, seconds: float, first: str = ":", **needs: Any) -> str:
        """Submit a task whose first try takes so long, and others 0.3 s; it notes all the time which GPUs it has.

        ``first``: what its script does before.
        """
        beats = shlex.quote(str(self.queue.base / "beats"))
        turns = f"GPU_QUEUE_TRY == 1 ? {max(1, round(seconds * 10))} : 3"
        note = f'echo "$GPU_QUEUE_TASK $$ $CUDA_VISIBLE_DEVICES" >>{beats}'
        return self.queue.submit(f"{first}\nfor ((i = 0; i < ({turns}); i++)); do {note}; sleep 0.1; done\n", **needs)

    def beats(self) -> list[str]:
        path = self.queue.base / "beats"
        return path.read_text().splitlines() if path.exists() else []

    def wait_until_all_done(self, tasks: list[str], timeout_s: float = 40.0) -> None:
        """Until all tasks are done: each in one place, each with one try that succeeded."""
        wait_until(
            lambda: sorted(self.queue.ids("done")) == sorted(tasks), f"{len(tasks)} tasks done", timeout_s, self.dump
        )
        assert {task: self.queue.where(task) for task in tasks} == {task: ["done"] for task in tasks}
        for task in tasks:
            states = [record.get("status") for record in self.queue.tries(task)]
            assert states.count(0) == 1, (task, self.queue.tries(task))

    def job_logs(self) -> str:
        """What the jobs said."""
        logs = sorted(Path(self.queue.paths.root, "allocations").glob("*/*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')}" for log in logs)

    def dump(self) -> str:
        return f"{self.queue.dump()}\n{self.job_logs()}\n{self.slurm.run('squeue', '-t', 'all').stdout}"


@contextlib.contextmanager
def a_served(slurm: Slurm, base: Path) -> Iterator[Served]:
    """A queue whose jobs are gone afterwards."""
    with a_cluster(base) as queue:
        served = Served(slurm, queue)
        before = set(slurm.ask("squeue", "-h", "-t", "all", "-o", "%A").split())
        try:
            yield served
        finally:
            jobs = sorted(set(slurm.ask("squeue", "-h", "-o", "%A").split()) - before)
            if jobs:
                slurm.run("scancel", *jobs)
                served.wait_for_end(*jobs)
