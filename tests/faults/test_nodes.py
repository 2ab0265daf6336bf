"""Several nodes on one spool, with real agents: nodes that die, stop for a while, come back, and share the work."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.node import side as side_module
from gpu_queue.node.side import node_name
from gpu_queue.spool.pages import read_page
from tests.agent.harness import ROOT, Cluster, wait_until
from tests.faults.machine import TAKEOVER_S, TICKING, Machine, runs_on, ticks, tries


def test_the_task_of_a_node_that_lost_its_power_goes_on_elsewhere(cluster: Cluster) -> None:
    one = Machine(cluster, "n1")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    two = Machine(cluster, "n2")
    one.power_off()
    running = cluster.paths.running(one.node)
    signs = [cluster.paths.node_json(one.node), *(f"{running}/{name}" for name in os.listdir(running))]
    last_sign_at = max(os.stat(path).st_mtime for path in signs)
    runs_on(cluster, task, two, 2)
    began_at = min(at for number, at in ticks(cluster) if number == 2)
    assert began_at - last_sign_at >= TAKEOVER_S - 0.1, "a peer cannot know earlier"
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done")
    (lost,) = tries(cluster, task)[:1]
    assert (lost["why"], lost["node"]) == ("lost", one.node)
    wait_until(lambda: not one.is_there, "the dead node to be put away", 30)
    assert not os.path.exists(cluster.paths.running(one.node))


def test_the_next_agent_that_is_submitted_takes_over_what_a_lone_dead_node_had(cluster: Cluster) -> None:
    one = Machine(cluster, "n1")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    one.power_off()
    wait_until(lambda: time.time() - os.stat(cluster.paths.node_json(one.node)).st_mtime > 3, "some time")
    two = Machine(cluster, "n2")
    wait_until(lambda: f"watches {one.node}: not heard of for" in cluster.output.read_text(), "a word about it")
    runs_on(cluster, task, two, 2)
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done")


def test_a_node_that_stood_still_for_longer_than_the_takeover_finds_its_claim_gone_and_ends_its_task(
    cluster: Cluster,
) -> None:
    one, two = Machine(cluster, "n1"), None
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    two = Machine(cluster, "n2")
    one.suspend()
    suspended_at = time.time()
    runs_on(cluster, task, two, 2)
    wait_until(lambda: not one.is_there, "the node to be put away", 30, cluster.dump)
    resumed_at = time.time()
    one.resume()
    wait_until(lambda: not one.tries(), "the first try to end", 30, cluster.dump)
    wait_until(lambda: one.is_there, "the node to come back", 30, cluster.dump)
    between = [at for number, at in ticks(cluster) if number == 1 and suspended_at + 0.5 < at < resumed_at - 0.5]
    assert between == [], "it stood still"
    # On local storage nothing fences it: it runs on beside the second try until its shim has looked, and no longer.
    last = max(at for number, at in ticks(cluster) if number == 1)
    assert last - resumed_at < 10.0
    wait_until(lambda: ticks(cluster)[-1][1] > last + 0.5, "the second try to go on")
    assert {number for number, at in ticks(cluster) if at > last} == {2}
    assert cluster.where(task) == ["running"]
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done")
    assert [record["why"] for record in tries(cluster, task)] == ["lost", None]
    again = cluster.submit("echo again\n")
    cluster.wait_for(again, "done")


def test_a_task_that_lives_without_its_agent_is_left_alone_and_settled_by_a_peer_when_it_has_ended(
    cluster: Cluster,
) -> None:
    one = Machine(cluster, "n1")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    cluster.kill(one.agent)
    two = Machine(cluster, "n2")
    watched_until = time.monotonic() + 2 * TAKEOVER_S
    while time.monotonic() < watched_until:
        assert [name for name in os.listdir(cluster.paths.running(one.node)) if task in name], cluster.dump()
        time.sleep(0.2)  # the pace of looking
    (watched,) = read_page(cluster.paths.node_json(two.node), two.node).watching
    assert (watched.node, watched.tries, watched.beating) == (one.node, 0, 1)
    (cluster.queue_root / "finish").touch()
    cluster.wait_for(task, "done", 30)
    assert {number for number, _ in ticks(cluster)} == {1}


def test_what_a_person_forgets_goes_on_at_once(cluster: Cluster) -> None:
    one = Machine(cluster, "n1", "--takeover-after", "1h")
    task = cluster.submit(TICKING)
    runs_on(cluster, task, one, 1)
    two = Machine(cluster, "n2", "--takeover-after", "1h")
    one.power_off()
    said = subprocess.run(
        ["bash", "-c", f". '{ROOT}/client.sh'; gpu_forget n1 --force"],
        env=cluster.environment(JOB_ID=cluster.job_id, QUEUE_ROOT=str(cluster.queue_root), USER="alice"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, second = said.stdout.splitlines()
    assert first == f"forgotten {one.node}; it had 1 task"
    assert "waits again" in second or f"runs again, on {two.node}" in second
    runs_on(cluster, task, two, 2)
    assert "alice@" in str(tries(cluster, task)[0]["reason"])


@pytest.mark.long
def test_several_agents_share_a_hundred_tasks_each_is_run_once_and_in_order(cluster: Cluster) -> None:
    chance = random.Random(4)
    script = (
        'echo "$GPU_QUEUE_NODE" >>"$QUEUE_ROOT/ran-$GPU_QUEUE_TASK"\n'
        'echo "$GPU_QUEUE_TASK" >>"$QUEUE_ROOT/on-$GPU_QUEUE_NODE"\n'
        'until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.05; done\n'
    )
    priority = {}
    for number in range(100):
        gpus = "2" if number % 15 == 0 else "1"
        before = chance.randrange(1000)
        priority[cluster.submit(script, name=f"t{number}.sh", priority=before, gpus=gpus)] = before
    (Path(cluster.paths.root) / "paused").touch()
    machines = [Machine(cluster, f"n{number}", simulate="2" if number == 2 else "1") for number in range(3)]
    os.unlink(f"{cluster.paths.root}/paused")
    # Whoever is first has all his GPUs taken until the others have begun too.
    wait_until(lambda: len(list(cluster.queue_root.glob("on-*"))) == 3, "three at work", 60, cluster.dump)
    (cluster.queue_root / "go").touch()
    wait_until(lambda: len(cluster.ids("done")) == len(priority), "all in done", 120, cluster.dump)
    assert cluster.ids("pending") == cluster.ids("running") == cluster.ids("failed") == []
    assert {(cluster.queue_root / f"ran-{task}").read_text().count("\n") for task in priority} == {1}
    for machine in machines[:2]:  # with one GPU one task runs after the other
        ran = (cluster.queue_root / f"on-{machine.node}").read_text().split()
        assert len(ran) > 5, "each has its share"
        keys = [(priority[task], task) for task in ran]
        assert keys == sorted(keys)


def test_hosts_that_were_cloned_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """One host name, one machine id, one image: what differs is the boot, the container, the user, the directory."""
    facts = {"/proc/sys/kernel/random/boot_id": "b1", "/proc/1/stat": f"1 (init) S {' '.join(map(str, range(40)))}"}

    def opened(path: str, **_: object) -> io.StringIO:
        return io.StringIO(facts[path])

    def name(directory: tuple[int, int] = (1, 2), **changed: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(side_module, "open", opened, raising=False)
            patch.setattr(os, "readlink", lambda _: changed.get("namespace", "pid:[1]"))
            patch.setattr(os, "geteuid", lambda: int(changed.get("uid", "1000")))
            patch.setitem(facts, "/proc/sys/kernel/random/boot_id", changed.get("boot", "b1"))
            return node_name("gpu", directory)

    names = [
        name(),
        name(boot="b2"),
        name(namespace="pid:[2]"),
        name(uid="1001"),
        name(directory=(1, 3)),
        name(directory=(2, 2)),
    ]
    assert len(set(names)) == len(names)
    assert all(one.startswith("gpu-") for one in names)
    assert name() == names[0], "and the same one keeps its name"


@pytest.fixture(autouse=True)
def _no_stopped_processes(cluster: Cluster) -> Iterator[None]:
    """What a failed test left stopped can be ended again."""
    yield
    for pid in cluster.own_processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
