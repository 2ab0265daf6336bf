"""Tasks that ask to be run again: with a real agent, without one, and where it dies in between."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from gpu_queue.execution.localfiles import line_of
from tests.agent.harness import Cluster, wait_until

THEN_DONE = 'if [ "$GPU_QUEUE_TRY" -gt 1 ]; then echo "try $GPU_QUEUE_TRY"; exit 0; fi\n'
ASKS = THEN_DONE + 'echo "at step 7" >"$GPU_QUEUE_REQUEUE"\n'


def outcomes(cluster: Cluster, task_id: str) -> list[tuple[str, int]]:
    return [(record["outcome"], record["status"]) for record in cluster.tries(task_id)]


def shim_of(cluster: Cluster, task_id: str) -> int:
    (path,) = cluster.local.glob(f"agents/*/tries/{cluster.claim_of(task_id)}/pid")
    return int(line_of(str(path)) or 0)


def test_a_task_is_run_again_because_it_asks_whatever_its_status(cluster: Cluster) -> None:
    cluster.start(simulate="4")
    fails = cluster.submit(ASKS + "exit 3\n")
    ends_well = cluster.submit(ASKS)
    dies = cluster.submit(ASKS + "kill -KILL $$\n")
    link = cluster.submit(THEN_DONE + 'ln -s /nowhere "$GPU_QUEUE_REQUEUE"\n')
    directory = cluster.submit(THEN_DONE + 'mkdir "$GPU_QUEUE_REQUEUE"; touch "$GPU_QUEUE_REQUEUE/x"\n')
    fifo = cluster.submit(THEN_DONE + 'mkfifo "$GPU_QUEUE_REQUEUE"; exit 1\n')
    timed_out = cluster.submit(ASKS + "sleep 60\n", time="0.5s")
    # Slurm ends a job that requeues itself, so scripts do not end themselves.
    slurm = cluster.submit(f"#SBATCH --ntasks=1\n{THEN_DONE}scontrol requeue $SLURM_JOB_ID; sleep 60\n")
    itself = cluster.submit(ASKS + "kill $PPID; sleep 60\n")
    for task in (fails, ends_well, dies, link, directory, fifo, timed_out, slurm, itself):
        cluster.wait_for(task, "done")
        assert "try 2" in cluster.log(task)
    assert outcomes(cluster, fails) == [("again", 3), ("succeeded", 0)]
    assert outcomes(cluster, ends_well) == [("again", 0), ("succeeded", 0)]
    assert outcomes(cluster, dies)[0] == ("again", 137)
    assert outcomes(cluster, timed_out)[0] == ("again", 143)
    assert outcomes(cluster, slurm)[0] == ("again", 143)
    assert outcomes(cluster, itself)[0] == ("again", 143)
    first = cluster.tries(fails)[0]
    assert (first["why"], first["to"], first["reason"]) == ("again", "pending", "it asks: at step 7")
    assert "==== exit 3 after" in cluster.log(fails)
    assert "(again)" in cluster.log(fails)


def test_a_task_that_asks_too_often_ends_as_its_status_says_and_a_person_stops_any(cluster: Cluster) -> None:
    cluster.start("--max-again", "2", simulate="2")
    fails = cluster.submit('touch "$GPU_QUEUE_REQUEUE"; exit 3\n')
    ends_well = cluster.submit('touch "$GPU_QUEUE_REQUEUE"\n')
    cluster.wait_for(fails, "failed")
    cluster.wait_for(ends_well, "done")
    assert outcomes(cluster, fails) == [("again", 3), ("again", 3), ("failed(3)", 3)]
    assert outcomes(cluster, ends_well) == [("again", 0), ("again", 0), ("succeeded", 0)]
    told = "not run again, for it was 2 times within a day (max_again: 2)"
    assert cluster.tries(fails)[-1]["reason"] == told
    assert told in cluster.log(fails)
    stays = cluster.submit('touch "$GPU_QUEUE_REQUEUE"; echo asked; sleep 60\n')
    cluster.wait_for_line(stays, "asked")
    cluster.command_all("stop", claims=[cluster.claim_of(stays)])
    cluster.wait_for(stays, "failed")
    assert outcomes(cluster, stays) == [("stopped", 143)]


@pytest.mark.parametrize("killed", ["agent", "shim", "both"])
def test_a_request_survives_whoever_is_killed_before_the_task_is_moved(cluster: Cluster, killed: str) -> None:
    agent = cluster.start(simulate="1")
    task = cluster.submit(ASKS + "echo asked; while [ ! -e go ]; do sleep 0.05; done; exit 3\n")
    cluster.wait_for_line(task, "asked")
    shim = shim_of(cluster, task)
    if killed != "shim":
        cluster.kill(agent)
    if killed != "agent":
        with contextlib.suppress(ProcessLookupError):
            os.kill(shim, signal.SIGKILL)
    Path(cluster.base, "go").touch()
    if killed == "agent":  # its shim makes the move that is left to it
        wait_until(lambda: any(name.endswith("=3-again") for name in cluster.names("running")), "its name")
    if killed != "shim":
        cluster.start(simulate="1")
    cluster.wait_for(task, "done")
    assert "try 2" in cluster.log(task)
    (index,) = Path(cluster.paths.root, "records").glob(f"{task}.tries.json")
    assert '"why": "again"' in index.read_text()
