"""One spool that is reached by two paths: it is one spool."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpu_queue.states import EXIT_SERVED
from tests.agent.harness import Cluster, wait_until
from tests.cases import long

UNTIL_GO = 'until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.02; done; echo once\n'


@contextmanager
def by_another_path(cluster: Cluster, how: str) -> Iterator[Path]:
    """The directory of all spools under another path, and what is done to come to it."""
    there = cluster.base / "elsewhere"
    if how == "moved, with a link":
        cluster.queue_root.rename(there)
        cluster.queue_root.symlink_to(there)
        yield there
        return
    there.mkdir()
    try:
        subprocess.run(["mount", "--bind", str(cluster.queue_root), str(there)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    try:
        yield there
    finally:
        subprocess.run(["umount", "--lazy", str(there)], check=True)


WAYS = pytest.mark.parametrize("how", ["mounted twice", *long("moved, with a link")])


@WAYS
def test_a_task_whose_spool_has_another_path_now_is_taken_up_again(cluster: Cluster, how: str) -> None:
    agent = cluster.start()
    task = cluster.submit(UNTIL_GO)
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    cluster.kill(agent)
    with by_another_path(cluster, how) as there:
        cluster.start("--queue-root", str(there))
        wait_until(lambda: "taken up again" in cluster.dump(), "the adoption", dump=cluster.dump)
        wait_until(lambda: "\tbusy\t" in cluster.node_text(), "the GPU still held", dump=cluster.dump)
        (cluster.queue_root / "go").touch()
        cluster.wait_for(task, "done")
        assert len(cluster.tries(task)) == 1
        assert cluster.log(task).count("once\n") == 1
        cluster.close()


@WAYS
def test_what_a_task_left_running_is_ended_by_an_agent_that_reaches_its_spool_by_another_path(
    cluster: Cluster, how: str
) -> None:
    agent = cluster.start()
    task = cluster.submit("setsid sleep 1000 & echo $! >left; until [ -e go ]; do sleep 0.02; done\n")
    wait_until(lambda: cluster.tries(task), "the task's start", dump=cluster.dump)
    cluster.kill(agent)
    claim = cluster.claim_of(task)
    (pid,) = (int(path.read_text()) for path in cluster.local.glob(f"agents/*/tries/{claim}/pid"))
    os.kill(pid, 9)  # its shim: whatever it started is without a parent that would end it
    assert cluster.own_processes()
    with by_another_path(cluster, how) as there:
        cluster.start("--queue-root", str(there))
        wait_until(lambda: len(cluster.tries(task)) == 2, "the second try", dump=cluster.dump)
        (left,) = cluster.base.rglob("left")
        (left.parent / "go").touch()
        cluster.wait_for(task, "done")
        outcomes = [record["outcome"] for record in cluster.tries(task)]
        assert outcomes == ["lost", "succeeded"]
        cluster.close()


@WAYS
def test_a_second_agent_by_another_path_is_refused_with_the_path_of_the_first(cluster: Cluster, how: str) -> None:
    cluster.start()
    with by_another_path(cluster, how) as there:
        second = cluster.start("--queue-root", str(there), wait=False)
        assert second.wait(20) == EXIT_SERVED
        said = cluster.output.read_text()
        assert f"an agent already serves {there}" in said
        assert f"which it reaches as {cluster.paths.root}" in said
        cluster.close()
