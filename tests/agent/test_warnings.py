"""What Slurm tells all processes of a job: USR1 and USR2 near its end, if a site wants it; TERM at its end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from gpu_queue.execution.processes import pids, read_process
from tests.agent.harness import Cluster, wait_until
from tests.cases import long

USR = [signal.SIGUSR1, signal.SIGUSR2]


def warn_all(cluster: Cluster, number: signal.Signals) -> list[int]:
    """As ``--signal=USR1@60`` does it: each process of the job, in whatever session."""
    pids = cluster.own_processes() + keepers(cluster)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # what a shim or a script calls comes and goes
            os.kill(pid, number)
    return pids


def keepers(cluster: Cluster) -> list[int]:
    """The processes of the keep-alive: they are below the agent."""
    parents = {row.pid: row.parent for row in map(read_process, pids()) if row is not None}
    found = {agent.pid for agent in cluster.agents}
    for _ in range(2):  # the zygote, its workers
        found |= {pid for pid, parent in parents.items() if parent in found}
    return [pid for pid in found if b"gpu_queue.keepalive" in arguments_of(pid)]


def arguments_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_alive(pid: int) -> bool:
    row = read_process(pid)
    return row is not None and row.state != "Z"


@pytest.mark.parametrize("number", [*long(USR[0]), USR[1]], ids=lambda number: number.name)
def test_agent_keep_alive_shims_and_scripts_that_catch_it_outlive_a_warning(
    cluster: Cluster, number: signal.Signals
) -> None:
    agent = cluster.start(keepalive=True)
    wait_until(lambda: len(keepers(cluster)) == 3, "a worker for each GPU", 60, cluster.dump)
    name = number.name.removeprefix("SIG")
    task = cluster.submit(f"trap 'echo saved' {name}; echo begun; while [ ! -e go ]; do sleep 0.05; done; exit 0\n")
    cluster.wait_for_line(task, "begun")
    wait_until(lambda: len(keepers(cluster)) == 2, "its GPU's worker to go", dump=cluster.dump)
    kept = keepers(cluster)
    warn_all(cluster, number)
    cluster.wait_for_line(task, "saved")
    (cluster.base / "go").touch()
    cluster.wait_for(task, "done")
    assert cluster.log(task).count("saved") == 1
    # Those that waited for a task then are whole too.
    cluster.wait_for(cluster.submit("echo works\n"), "done")
    assert agent.poll() is None
    assert all(map(is_alive, kept))


@pytest.mark.parametrize(
    ("number", "log"),
    [(USR[0], "direct"), (USR[1], "pump"), *long((USR[0], "pump"), (USR[1], "direct"))],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_script_that_dies_of_a_warning_goes_back_and_has_not_failed(
    cluster: Cluster, number: signal.Signals, log: str
) -> None:
    cluster.start("--log", log)
    task = cluster.submit("echo begun; sleep 600\n")
    cluster.wait_for_line(task, "begun")
    warn_all(cluster, number)
    cluster.wait_for(task, "pending")
    (record,) = cluster.tries(task)
    assert (record["why"], record["status"]) == ("requeue", 128 + number)
    assert f"(told {number.name.removeprefix('SIG')}, as its agent was)" in cluster.log(task)


def test_a_script_that_slurm_told_term_before_its_shim_goes_back(cluster: Cluster) -> None:
    agent = cluster.start()
    task = cluster.submit("echo begun; echo $$ >pid; sleep 600\n")
    cluster.wait_for_line(task, "begun")
    pid = int(wait_until(lambda: (cluster.base / "pid").exists() and (cluster.base / "pid").read_text(), "its pid"))
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(pid), "its end")
    agent.send_signal(signal.SIGTERM)
    cluster.wait_for(task, "pending")
    (record,) = cluster.tries(task)
    assert (record["why"], record["status"]) == ("requeue", 143)
    assert agent.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, USR[0], *long(USR[1])], ids=lambda number: number.name)
def test_a_script_that_signals_itself_has_failed(cluster: Cluster, number: signal.Signals) -> None:
    cluster.start()
    task = cluster.submit(f"kill -{number.name.removeprefix('SIG')} $$\n")
    cluster.wait_for(task, "failed")
    (record,) = cluster.tries(task)
    assert (record["why"], record["status"]) == (None, 128 + number)


def test_scripts_die_of_these_signals_as_ever(cluster: Cluster) -> None:
    cluster.start()
    task = cluster.submit("grep -E 'SigIgn|SigBlk' /proc/self/status\n")
    cluster.wait_for(task, "done")
    masks = [int(line.split()[1], 16) for line in cluster.log(task).splitlines() if line.startswith("Sig")]
    assert len(masks) == 2
    assert not any(mask & 1 << number - 1 for mask in masks for number in USR)


def test_an_agent_that_has_just_begun_outlives_one(cluster: Cluster) -> None:
    agent = cluster.start(wait=False, env=cluster.held_back())
    caught = Path(f"/proc/{agent.pid}/status")

    def catches() -> bool:
        lines = caught.read_text().splitlines()
        mask = int(next(line.split()[1] for line in lines if line.startswith("SigCgt")), 16)
        return bool(mask & 1 << signal.SIGUSR1 - 1)

    wait_until(catches, "the handler")
    agent.send_signal(signal.SIGUSR1)
    (cluster.base / "go on").touch()
    wait_until(cluster.nodes, "its page", dump=cluster.dump)
    assert agent.poll() is None
