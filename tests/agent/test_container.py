"""An agent as process 1 of a container: in a pid namespace of its own, whose only processes are its own.

Whatever ends every Python process of a user is tried only here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.execution.processes import Process, pids, read_process
from tests.agent.harness import Cluster, wait_until

UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", *(["--map-root-user"] if os.geteuid() else [])]
SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


def _works() -> bool:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _works(), reason="this user can make no pid namespace")


class Container:
    """A namespace with an agent as its process 1."""

    def __init__(self, cluster: Cluster, *flags: str, **more: str) -> None:
        self.cluster = cluster
        self.entered: list[subprocess.Popen[str]] = []
        with cluster.output.open("ab") as out:
            self.outer = subprocess.Popen(
                [*UNSHARE, *cluster.command("--no-keepalive", *flags)],
                env=cluster.environment(**more),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.agent = wait_until(self._first, "process 1", dump=cluster.dump)

    def serves(self) -> Container:
        """Wait for its page."""
        wait_until(
            lambda: [page for page in self.cluster.nodes() if page["pid"] == 1], "page", dump=self.cluster.dump
        )
        return self

    def catches(self, number: signal.Signals) -> bool:
        """Whether process 1 is Python by now, and has a handler for this."""
        lines = Path(f"/proc/{self.agent}/status").read_text().splitlines()
        return bool(int(next(line.split()[1] for line in lines if line.startswith("SigCgt")), 16) & 1 << number - 1)

    def _first(self) -> int:
        assert self.outer.poll() is None, self.cluster.dump()
        return next((row.pid for row in rows() if row.parent == self.outer.pid), 0)

    def enter(self, *command: str) -> subprocess.Popen[str]:
        """Start something that says a line when it is up, beside the agent and not below it."""
        entering = ["nsenter", "--target", str(self.agent), "--pid", "--mount", *(["--user"] if os.geteuid() else [])]
        process = subprocess.Popen([*entering, *command], stdout=subprocess.PIPE, text=True)
        self.entered.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    def children(self) -> list[Process]:
        return [row for row in rows() if row.parent == self.agent]

    def end(self) -> int:
        os.kill(self.agent, signal.SIGTERM)
        return self.outer.wait(20)


def rows() -> list[Process]:
    return [row for row in map(read_process, pids()) if row is not None]


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    made: list[Container] = []
    yield made
    for one in made:
        if one.outer.poll() is None:
            os.kill(one.agent, signal.SIGKILL)
            one.outer.wait(20)
        for process in one.entered:
            process.communicate(timeout=20)


def test_process_1_takes_the_exits_of_what_lost_its_parent(cluster: Cluster, containers: list[Container]) -> None:
    pod = Container(cluster)
    containers.append(pod.serves())
    lost = "for i in 1 2 3; do (setsid sh -c 'sleep 0.3' </dev/null >/dev/null 2>&1 &); done; sleep 0.1\n"
    tasks = [cluster.submit(lost) for _ in range(3)]
    for task in tasks:
        cluster.wait_for(task, "done")
    pod.enter("sh", "-c", "(exec >/dev/null; sleep 3 &); echo up")
    lost_here = wait_until(lambda: [row for row in pod.children() if row.name == "sleep"], "an orphan")
    wait_until(lambda: not {row.pid for row in lost_here} & {row.pid for row in pod.children()}, "its exit")
    wait_until(lambda: not [row for row in pod.children() if row.state == "Z"], "the exits of all others", 30)
    cluster.wait_for(cluster.submit("echo works\n"), "done")
    assert pod.end() == 0


def test_process_1_that_is_not_ready_yet_ends_by_term_all_the_same(
    cluster: Cluster, containers: list[Container]
) -> None:
    pod = Container(cluster, **cluster.held_back())
    containers.append(pod)
    wait_until(lambda: pod.catches(signal.SIGTERM), "the handler", dump=cluster.dump)
    assert pod.end() == 143


def test_a_stop_ends_every_other_python_of_a_node_that_is_ours_alone_and_says_how_many(
    cluster: Cluster, containers: list[Container]
) -> None:
    pod = Container(cluster, GPU_QUEUE_SWEEP="all", GPU_QUEUE_ALLOCATION="sco:ydj-exp/0a0b0c")
    containers.append(pod.serves())
    other_agent = cluster.command("--no-keepalive", "--node-name", "other", "--gpus", "1")
    beside = subprocess.Popen(
        ["nsenter", "--target", str(pod.agent), "--pid", "--mount", *other_agent],
        env=cluster.environment(),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: len(cluster.nodes()) == 2, "the other agent", dump=cluster.dump)
    kept = cluster.submit(f'#!/bin/sh\n{sys.executable} -c "{SLEEPER}"\n', name="kept.sh")
    stopped = cluster.submit(f'#!/bin/sh\n{sys.executable} -c "{SLEEPER}"\n', name="stopped.sh")
    for task in (kept, stopped):
        cluster.wait_for_line(task, "up")
    strays = [pod.enter(sys.executable, "-c", SLEEPER) for _ in range(2)]
    shell = pod.enter("sh", "-c", "echo up; sleep 600")
    answer = cluster.ack(cluster.command_all("stop", claims=[cluster.claim_of(stopped)], to=addressed(cluster)))
    assert "ended 2 other Python processes of this user" in answer
    assert [one.wait(10) != 0 for one in strays] == [True, True]
    assert cluster.where(kept) == ["running"]
    assert shell.poll() is None
    assert beside.poll() is None
    assert pod.end() == 0  # and with it the namespace
    beside.wait(20)


def addressed(cluster: Cluster) -> list[str]:
    """The agent that sweeps."""
    (page,) = (page for page in cluster.nodes() if page["allocation"])
    return [f"{page['node']}/{page['incarnation']}"]
