"""A job of a real Slurm is gone, agent, shims and all: the next agent asks Slurm, and does not wait for long."""

from __future__ import annotations

import os
import secrets
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import wait_until
from tests.slurm.cluster import CGROUPS, a_slurm
from tests.slurm.conftest import only_with_all, refuse_unless_asked
from tests.slurm.served import Served, a_served

TIMES: dict[str, Any] = {
    "GPU_QUEUE_BEAT": "2s",
    "GPU_QUEUE_FENCE_AFTER": "4s",
    "GPU_QUEUE_TAKEOVER_AFTER": "300s",
    "GPU_QUEUE_CACHE": "2s",
}
EARLY_S = 90.0
"""Two beats, what a cache may hide, and some looks of a slow machine; the full watch takes longer."""


def a_running_task(served: Served) -> tuple[str, str]:
    """A task, and the job that it runs in, whose agent has told that it does."""
    task = served.a_task(600.0)
    (job,) = served.submit("1", SLURM_WAY_ARGS="--nodelist=n1", **TIMES)
    wait_until(lambda: task in "".join(served.beats()[-1:]), "the task", 30, served.dump)
    wait_until(lambda: [node for node in served.agents() if node["within_allocation"]], "its page", 30, served.dump)
    (page,) = served.agents()
    assert (page["allocation"], page["cluster"]) == (f"slurm:{job}.0", "gq")
    return task, job


def kill_the_agent(served: Served) -> None:
    """And nothing else."""
    (page,) = served.agents()
    os.kill(page["pid"], signal.SIGKILL)


def test_what_ran_in_a_job_that_has_ended_goes_on_in_the_next_one_long_before_the_full_watch_is_over(
    tmp_path: Path,
) -> None:
    refuse_unless_asked()
    if not os.access(CGROUPS / "freezer", os.W_OK):
        pytest.skip(f"no cgroups of version 1 to write in {CGROUPS}")
    # Slurms with nodes of one name share the cgroups of their jobs.
    first = str(100_000 + secrets.randbelow(10_000_000))
    with a_slurm(ProctrackType="proctrack/cgroup", FirstJobId=first) as slurm, a_served(slurm, tmp_path) as served:
        task, job = a_running_task(served)
        kill_the_agent(served)
        served.wait_for_end(job)
        told = len(served.beats())
        died = time.monotonic()
        assert served.queue.where(task) == ["running"], "nobody could say how it ended"
        served.submit("1", SLURM_WAY_ARGS="--nodelist=n2", **TIMES)
        served.wait_until_all_done([task], EARLY_S)
        assert time.monotonic() - died < EARLY_S + 30
        assert served.way("states", f"{job}.0", GQ_PROOF="1").stdout.split("\t")[1] == "ended"
        assert f"the scheduler says of the batch job slurm:{job}.0: ended (" in served.job_logs()
        lost, done = served.queue.tries(task)
        assert f"the scheduler says that its batch job slurm:{job}.0 has ended" in str(lost["reason"])
        assert len(served.beats()) <= told + 3, "nothing of the first try lived on"
        assert done["status"] == 0


@pytest.mark.parametrize("tracking", ["linuxproc", pytest.param("pgid", marks=only_with_all)])
def test_where_slurm_does_not_find_all_processes_of_a_job_its_end_proves_nothing(
    tracking: str, tmp_path: Path
) -> None:
    refuse_unless_asked()
    with a_slurm(ProctrackType=f"proctrack/{tracking}") as slurm, a_served(slurm, tmp_path) as served:
        task, job = a_running_task(served)
        kill_the_agent(served)
        served.wait_for_end(job)
        told, claim = len(served.beats()), served.queue.claim_of(task)
        assert served.way("states", f"{job}.0", GQ_PROOF="1").stdout.split("\t")[1] == "lost"
        served.submit("1", SLURM_WAY_ARGS="--nodelist=n2", **TIMES)
        wait_until(lambda: len(served.beats()) > told + 200, "signs that the task lives", 60, served.dump)
        assert served.queue.claim_of(task) == claim
