"""A node's batch job is gone, agent, shims and all: what the scheduler says of it decides how long a peer waits."""

from __future__ import annotations

import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from gpu_queue.spool.pages import SilentPage, read_page
from tests.agent.harness import Cluster, wait_until
from tests.faults.machine import TICKING, Machine, runs_on, ticks, tries

TIMES = {
    "GPU_QUEUE_BEAT": "1s",
    "GPU_QUEUE_FENCE_AFTER": "2s",
    "GPU_QUEUE_TAKEOVER_AFTER": "120s",
    "GPU_QUEUE_CACHE": "0s",
}
EARLY_S = 30.0
"""Two beats and some looks of a slow machine; the full watch takes four times as long."""
WATCHED_S = 8.0
"""Long enough for a takeover after two beats to be seen."""


class Scheduler:
    """A way whose answers a test writes."""

    def __init__(self, base: Path) -> None:
        self.directory = base / "ways"
        self.calls = base / "calls"
        self.directory.mkdir(mode=0o700)
        self.answers('for id; do printf "%s\\tunknown\\n" "$id"; done')

    def says(self, word: str, raw: str = "") -> None:
        self.answers(f'for id; do printf "%s\\t{word}\\t{raw}\\n" "$id"; done')

    def answers(self, script: str) -> None:
        # By a rename: a program that is being written cannot be run.
        path = self.directory / ".new"
        path.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >>{shlex.quote(str(self.calls))}; shift\n{script}\n')
        path.chmod(0o700)
        path.rename(self.directory / "test")

    def asked(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def environment(self, job: str = "") -> dict[str, str]:
        return {**TIMES, "GPU_QUEUE_WAYS": str(self.directory), **({"GPU_QUEUE_ALLOCATION": job} if job else {})}


@pytest.fixture
def scheduler(cluster: Cluster) -> Scheduler:
    return Scheduler(cluster.base)


def a_machine(cluster: Cluster, scheduler: Scheduler, name: str, job: str = "", **more: str) -> Machine:
    return Machine(cluster, name, env={**scheduler.environment(job), **more})


def watched_by(cluster: Cluster, two: Machine, one: Machine) -> SilentPage | None:
    page = read_page(cluster.paths.node_json(two.node), two.node)
    return next((silent for silent in page.watching if silent.node == one.node), None)


def a_dead_job(cluster: Cluster, scheduler: Scheduler, job: str = "test:1.0") -> tuple[str, Machine]:
    """A task that ran in a batch job of which nothing lives any more."""
    one = a_machine(cluster, scheduler, "n1", job)
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    is_told(cluster, one)
    one.power_off()
    return task, one


def is_told(cluster: Cluster, machine: Machine) -> None:
    """Its page says that what runs there began in its job."""
    wait_until(
        lambda: read_page(cluster.paths.node_json(machine.node), machine.node).is_within_allocation,
        "the page of its job",
        dump=cluster.dump,
    )


def is_left(cluster: Cluster, task: str, one: Machine, two: Machine) -> None:
    """Nobody takes it, and the peer that watches works on meanwhile."""
    until = time.monotonic() + WATCHED_S
    count = 0
    while time.monotonic() < until or count < 4:
        cluster.wait_for(cluster.submit("sleep 0.5\n", name=f"other{count}.sh"), "done")  # a task a second is enough
        assert [name for name in os.listdir(cluster.paths.running(one.node)) if task in name], cluster.dump()
        count += 1
    silent = wait_until(lambda: watched_by(cluster, two, one), "its watch", dump=cluster.dump)
    assert (silent.ended, silent.left_s > 60) == ("", True)


# -- it has ended ----------------------------------------------------------------------------------------------------


def test_what_ran_in_a_job_that_has_ended_goes_on_after_two_beats(cluster: Cluster, scheduler: Scheduler) -> None:
    two = a_machine(cluster, scheduler, "n2", "test:2.0")
    (Path(cluster.paths.root) / "paused").touch()
    one = a_machine(cluster, scheduler, "n1", "test:1.0")
    task = cluster.submit(TICKING, gpus="1")
    two.suspend()
    (Path(cluster.paths.root) / "paused").unlink()
    runs_on(cluster, task, one, 1)
    two.resume()
    is_told(cluster, one)
    scheduler.says("ended", "COMPLETED")
    died_at = time.time()
    one.power_off()
    runs_on(cluster, task, two, 2, EARLY_S)
    assert min(at for number, at in ticks(cluster) if number == 2) - died_at < EARLY_S
    assert scheduler.asked() == ["states 1.0"]
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done")
    (lost,) = tries(cluster, task)[:1]
    assert (lost["why"], lost["node"]) == ("lost", one.node)
    assert "and the scheduler says that its batch job test:1.0 has ended" in str(lost["reason"])


def test_the_next_agent_asks_once_about_the_jobs_of_all_dead_nodes(cluster: Cluster, scheduler: Scheduler) -> None:
    machines = [a_machine(cluster, scheduler, f"n{number}", f"test:{number}.0") for number in (1, 2)]
    tasks = [cluster.submit(TICKING, name=f"t{number}.sh") for number in (1, 2)]
    wait_until(lambda: len(cluster.ids("running")) == 2, "both", dump=cluster.dump)
    for machine in machines:
        is_told(cluster, machine)
        wait_until(machine.tries, "its task", dump=cluster.dump)
    scheduler.says("ended", "CANCELLED")
    for machine in machines:
        machine.suspend()
    for machine in machines:
        machine.power_off()
    Machine(cluster, "n3", simulate="2", env=scheduler.environment("test:3.0"))
    wait_until(
        lambda: {2} == {number for number, _ in ticks(cluster)[-4:]}, "their next tries", EARLY_S, cluster.dump
    )
    wait_until(lambda: not any(machine.tries() for machine in machines), "the end of the first")

    def about() -> list[str]:
        """The jobs, as often as they were asked about: at once, unless one node was found silent before the other."""
        return sorted(job for line in scheduler.asked() for job in line.split()[1:])

    wait_until(lambda: len(about()) >= 2, "a question about both", dump=cluster.dump)
    assert about() == ["1.0", "2.0"]
    assert "the scheduler says of the batch job test:1.0: ended (CANCELLED)" in cluster.output.read_text()
    (cluster.queue_root / "finish").touch()
    for task in tasks:
        cluster.wait_for(task, "done")


# -- nothing proves that ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        'printf "%s\\tended\\tCOMPLETED\\n" "$1"; exit 111',
        'trap "" TERM HUP INT; printf "%s\\tended\\n" "$1"; sleep 100000',
        pytest.param('while :; do printf "%s\\tended\\n" "$1"; done', marks=pytest.mark.long),
    ],
    ids=["refuses", "hangs", "without end"],
)
def test_without_that_word_the_full_watch_decides_and_the_agent_works_on(
    cluster: Cluster, scheduler: Scheduler, answer: str
) -> None:
    scheduler.answers(answer)
    task, one = a_dead_job(cluster, scheduler)
    two = a_machine(cluster, scheduler, "n2")
    wait_until(scheduler.asked, "the question", 20, cluster.dump)
    is_left(cluster, task, one, two)
    asked = time.monotonic()
    two.agent.send_signal(signal.SIGTERM)
    two.agent.wait(20)
    assert time.monotonic() - asked < 15, "a question keeps nobody from leaving"
    wait_until(lambda: not [pid for pid in cluster.own_processes() if pid != one.agent.pid], "the end of all", 20)


def test_a_task_whose_shim_lives_is_left_to_it_whatever_the_scheduler_says(
    cluster: Cluster, scheduler: Scheduler
) -> None:
    scheduler.says("ended", "COMPLETED")
    one = a_machine(cluster, scheduler, "n1", "test:1.0")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    is_told(cluster, one)
    cluster.kill(one.agent)
    two = a_machine(cluster, scheduler, "n2")
    is_left(cluster, task, one, two)
    silent = watched_by(cluster, two, one)
    assert silent is not None
    assert (silent.tries, silent.beating) == (0, 1)
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done", 30)
    assert {number for number, _ in ticks(cluster)} == {1}


def test_what_began_in_another_job_than_its_agent_is_not_judged_by_that_ones_end(
    cluster: Cluster, scheduler: Scheduler
) -> None:
    scheduler.says("ended", "COMPLETED")
    one = a_machine(cluster, scheduler, "n1", "test:1.0")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    is_told(cluster, one)
    cluster.kill(one.agent)
    again = a_machine(cluster, scheduler, "n1", "test:2.0")
    wait_until(lambda: "taken up again" in cluster.output.read_text(), "its adoption", dump=cluster.dump)
    settled = cluster.submit("#GPUQ --gpus 0\n")
    cluster.wait_for(settled, "done")
    page = read_page(cluster.paths.node_json(one.node), one.node)
    assert (page.allocation, page.is_within_allocation) == ("test:2.0", False)
    again.power_off()
    two = a_machine(cluster, scheduler, "n2")
    is_left(cluster, task, one, two)
    assert scheduler.asked() == []


def test_what_an_agent_takes_up_again_in_the_same_job_still_ends_with_it(
    cluster: Cluster, scheduler: Scheduler
) -> None:
    scheduler.says("ended", "COMPLETED")
    one = a_machine(cluster, scheduler, "n1", "test:1.0")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    cluster.kill(one.agent)
    again = a_machine(cluster, scheduler, "n1", "test:1.0")
    is_told(cluster, again)
    again.power_off()
    two = a_machine(cluster, scheduler, "n2")
    runs_on(cluster, task, two, 2, EARLY_S)
