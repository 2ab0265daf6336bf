"""Agents in jobs of a real Slurm: whatever ends a job, the next agent goes on, and no task is lost or run twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import wait_until
from tests.slurm.cluster import Slurm, a_slurm
from tests.slurm.conftest import only_with_all
from tests.slurm.served import ENDED, Served, a_served


@pytest.fixture
def served(slurm: Slurm, tmp_path: Path) -> Iterator[Served]:
    base = tmp_path / "it's a $(touch pwned) dir"
    base.mkdir()
    with a_served(slurm, base) as made:
        yield made


def is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def running(served: Served, count: int) -> list[str]:
    """The tasks that run, once they are so many and have said so."""

    def found() -> list[str]:
        said = {beat.split()[0] for beat in served.beats()}
        ids = served.queue.ids("running")
        return ids if len(ids) == count and said >= set(ids) else []

    found_ids: list[str] = wait_until(found, f"{count} running tasks", 30.0, served.dump)
    return found_ids


def test_two_jobs_of_a_node_each_serve_one_queue_with_the_gpus_that_slurm_gave(served: Served) -> None:
    tasks = [served.a_task(0.5, gpus=2) for _ in range(8)]
    jobs = served.submit("4", "2")
    assert len(jobs) == 2
    served.wait_for_agents(f"n1-{jobs[0]}", f"n2-{jobs[1]}")
    states = served.states(*jobs)
    assert [state[:3] for state in states] == [[job, "running", "RUNNING"] for job in jobs]
    assert len({state[3] for state in states}) == 2  # a nonce each
    assert {state[4] for state in states} == {f"{os.environ.get('USER', 'root')}-{served.queue.job_id}"}
    served.wait_until_all_done(tasks)
    assert {beat.split()[2] for beat in served.beats()} == {"0,1", "2,3"}


def test_an_agent_serves_only_what_its_job_was_given(served: Served) -> None:
    first, second = served.submit("2"), served.submit("2")
    served.wait_for_agents(f"n1-{first[0]}", f"n1-{second[0]}")  # two on one node
    tasks = [served.a_task(0.3, gpus=2) for _ in range(4)]
    served.wait_until_all_done(tasks)
    granted = {node["node"].rpartition("-")[0]: {gpu["index"] for gpu in node["gpus"]} for node in served.agents()}
    assert granted == {f"n1-{first[0]}": {0, 1}, f"n1-{second[0]}": {2, 3}}


def test_after_scancel_the_tasks_wait_and_the_next_job_goes_on(served: Served) -> None:
    tasks = [served.a_task(30, gpus=1) for _ in range(4)] + [served.a_task(0.1, gpus=1) for _ in range(2)]
    (job,) = served.submit("4")
    interrupted = running(served, 4)
    assert served.way("cancel", f"{job}.0").returncode == 0
    served.wait_for_end(job)
    assert served.word(job) == "ended"
    assert sorted(served.queue.ids("pending")) == sorted(tasks)
    assert not served.queue.ids("running")
    served.submit("4")
    served.wait_until_all_done(tasks)
    assert {len(served.queue.tries(task)) for task in interrupted} == {2}


def test_at_the_time_limit_of_its_job_the_agent_gives_its_tasks_back(served: Served) -> None:
    tasks = [served.a_task(90), served.a_task(0.1)]
    (job,) = served.submit("1")
    running(served, 1)
    served.slurm.ask("scontrol", "update", f"JobId={job}", "EndTime=now+1second")
    served.slurm.wait_for_state(job, "TIMEOUT")
    assert sorted(served.queue.ids("pending")) == sorted(tasks)
    served.submit("2")
    served.wait_until_all_done(tasks)


def test_a_requeued_job_leaves_its_tasks_to_the_next_agent(served: Served) -> None:
    task = served.a_task(60)
    (job,) = served.submit("1", SLURM_WAY_ARGS="--requeue")
    running(served, 1)
    served.slurm.ask("scontrol", "requeue", job)
    wait_until(lambda: served.queue.where(task) == ["pending"], "what ran, back in pending", 60, served.dump)
    served.submit("1")  # the requeued one waits for two minutes
    served.wait_until_all_done([task])


@only_with_all
def test_a_requeued_job_serves_again_under_its_id_with_another_run(served: Served) -> None:
    task = served.a_task(30)
    (job,) = served.submit("1", SLURM_WAY_ARGS="--requeue")
    running(served, 1)
    served.slurm.ask("scontrol", "requeue", job)
    served.slurm.wait_for_state(job, "PENDING")
    assert served.queue.where(task) == ["pending"]
    # Slurm lets it wait for two minutes; told to begin at once it may take one run's end for the other's.
    wait_until(lambda: served.queue.where(task) == ["done"], "its second run", 240, served.dump)
    assert [state[:2] for state in served.states(job, f"{job}.0", f"{job}.1", f"{job}.2")] == [
        [job, "running"],
        [f"{job}.0", "lost"],
        [f"{job}.1", "running"],
        [f"{job}.2", "unknown"],
    ]


@pytest.mark.parametrize("partition", ["cheap", "again"])
def test_a_job_that_is_preempted_leaves_its_tasks_to_the_next(served: Served, partition: str) -> None:
    task = served.a_task(60)
    (job,) = served.submit("4", SLURM_WAY_PARTITION=partition, SLURM_WAY_ARGS="--nodelist=n1 --requeue")
    running(served, 1)
    urgent = served.slurm.ask(
        *("sbatch", "--parsable", "--partition=urgent", "--nodelist=n1", "--gres=gpu:4", "--output=/dev/null"),
        *("--wrap", "sleep 300"),
    )
    served.slurm.wait_for_state(urgent, "RUNNING")
    # Within GraceTime the agent has left, so there was nothing to preempt any more.
    served.slurm.wait_for_state(job, "COMPLETED" if partition == "cheap" else "PENDING")
    assert served.queue.where(task) == ["pending"]
    served.submit("4")
    served.wait_until_all_done([task])
    served.slurm.run("scancel", urgent)


def test_on_a_node_that_slurm_has_lost_the_agent_serves_on_and_what_it_runs_is_run_once(served: Served) -> None:
    task = served.a_task(4.0)
    (job,) = served.submit("1", SLURM_WAY_ARGS="--nodelist=n1")
    running(served, 1)
    served.slurm.kill_node("n1")
    try:
        served.slurm.ask("scontrol", "update", "NodeName=n1", "State=DOWN", "Reason=test")
        served.slurm.wait_for_state(job, "NODE_FAIL")
        assert served.word(job) == "lost"
        served.submit("1", SLURM_WAY_ARGS="--nodelist=n2")
        wait_until(lambda: len(served.agents()) == 2, "the second agent", dump=served.dump)
        served.wait_until_all_done([task])
        assert len(served.queue.tries(task)) == 1
        again = served.a_task(60.0)
        other = served.a_task(60.0)
        running(served, 2)
    finally:
        served.slurm.start_node("n1")
    # It comes back, and is told that its job was lost: TERM to all.
    wait_until(lambda: served.slurm.node_states()["n1"] == "IDLE", "n1", dump=served.dump)
    wait_until(lambda: len(served.agents()) == 1, "its agent's end", 30.0, served.dump)
    assert len(served.queue.ids("pending")) == 1
    assert sorted(served.queue.ids("pending") + served.queue.ids("running")) == sorted([again, other])


def test_a_job_that_was_cancelled_while_its_node_was_silent_is_no_proof_of_an_end(served: Served) -> None:
    (job,) = served.submit("1", SLURM_WAY_ARGS="--nodelist=n2")
    served.wait_for_agents(f"n2-{job}")
    served.slurm.kill_node("n2")
    try:
        served.slurm.run("scancel", job)
        served.slurm.ask("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
        served.slurm.wait_for_state(job, "CANCELLED", "NODE_FAIL")
        assert served.agents(), "it serves on"
        assert served.word(job) == "lost"
    finally:
        served.slurm.start_node("n2")
    wait_until(lambda: served.slurm.node_states()["n2"] == "IDLE", "n2", dump=served.dump)
    wait_until(lambda: not served.agents(), "the agent's end", 30.0, served.dump)


def test_one_job_of_two_nodes_has_an_agent_on_each_and_the_death_of_one_ends_no_other(served: Served) -> None:
    (job,) = served.submit("2", "2", SLURM_WAY_ONE_JOB="1")
    served.wait_for_agents(f"n1-{job}", f"n2-{job}")
    task = served.a_task(5.0, gpus=2)
    running(served, 1)
    (claim,) = Path(served.queue.paths.root, "running").glob("*/*.try*")
    (victim,) = [node for node in served.agents() if node["node"] != claim.parent.name]
    os.kill(victim["pid"], signal.SIGKILL)
    served.wait_until_all_done([task])
    assert served.word(job) == "running"


def test_one_job_of_two_nodes_goes_on_without_the_one_that_slurm_lost(served: Served) -> None:
    (job,) = served.submit("2", "2", SLURM_WAY_ONE_JOB="1")
    served.wait_for_agents(f"n1-{job}", f"n2-{job}")
    served.slurm.kill_node("n2")
    try:
        served.slurm.ask("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
        wait_until(lambda: served.slurm.node_states()["n2"] == "DOWN", "n2 down", dump=served.dump)
    finally:
        served.slurm.start_node("n2")
    wait_until(lambda: served.slurm.node_states()["n2"] == "IDLE", "n2", dump=served.dump)
    (lost,) = [page["pid"] for page in served.agents() if page["node"].startswith("n2-")]
    wait_until(lambda: not is_alive(lost), "the end of what the node still ran", dump=served.dump)  # KILL, no TERM
    served.wait_until_all_done([served.a_task(5.0, gpus=2)])
    assert served.word(job) == "running"


def test_signals_that_a_site_sends_before_the_end_end_no_agent_and_fail_no_task(served: Served) -> None:
    deaf, heeding = served.a_task(60), served.a_task(8, first="trap : USR1 USR2")
    (job,) = served.submit("2", SLURM_WAY_ARGS="--signal=USR1@60")
    running(served, 2)
    for number in ("USR1", "USR2"):
        served.slurm.ask("scancel", "--signal", number, job)  # to all processes, as --signal does
    served.queue.wait_for(deaf, "pending")
    served.queue.wait_for(heeding, "done")
    assert served.word(job) == "running"
    assert len(served.queue.tries(heeding)) == 1


@only_with_all
def test_a_limit_of_a_minute_is_kept_and_a_signal_before_it_is_survived(served: Served) -> None:
    """As a user has it, with Slurm's own times."""
    task = served.a_task(100.0)
    (job,) = served.submit("1", "--time", "1m", SLURM_WAY_ARGS="--signal=USR1@30", flags=("--at-end", "wait"))
    running(served, 1)
    served.slurm.wait_for_state(job, "TIMEOUT", "COMPLETED", timeout_s=150)
    assert served.queue.where(task) == ["pending"]


@only_with_all
def test_a_node_that_dies_is_lost_by_slurms_own_reckoning(tmp_path: Path) -> None:
    with a_slurm(SlurmdTimeout="10") as slurm, a_served(slurm, tmp_path) as served:
        task = served.a_task(120)
        (job,) = served.submit("1")
        running(served, 1)
        slurm.kill_node("n1")
        slurm.wait_for_state(job, "NODE_FAIL", timeout_s=120)
        assert served.word(f"{job}.0") == "lost"
        assert served.queue.where(task) == ["running"]
        slurm.start_node("n1")
        served.queue.wait_for(task, "pending", 60.0)
        served.submit("1")
        served.wait_until_all_done([task])


@only_with_all
def test_jobs_that_end_at_random_moments_lose_no_task_and_run_none_twice(served: Served) -> None:
    chance = random.Random(14)
    tasks = [served.a_task(chance.uniform(0.1, 4.0), gpus=chance.choice((1, 1, 2))) for _ in range(60)]
    ends = (
        lambda job: served.slurm.ask("scancel", job),
        lambda job: served.slurm.ask("scancel", "--full", job),
        lambda job: served.slurm.ask("scancel", "--signal", "TERM", f"{job}.0"),
        lambda job: served.slurm.ask("scontrol", "requeuehold", job),
    )
    for _ in range(8):
        jobs = served.submit("2", "2", SLURM_WAY_ARGS="--requeue")
        wait_until(lambda: len(served.agents()) >= 2, "two agents", 60.0, served.dump)
        time.sleep(chance.uniform(0.0, 3.0))
        for job in jobs:
            chance.choice(ends)(job)
        for job in jobs:
            served.slurm.wait_for_state(job, *ENDED, "PENDING", "SPECIAL_EXIT", "REQUEUE_HOLD")
        served.slurm.run("scancel", *jobs)
    assert not served.queue.ids("running"), served.dump()
    served.submit("4", "2")
    served.wait_until_all_done(tasks)
