"""Plans over a queue that real agents serve, and over one that several people change at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, a_cluster, wait_until
from tests.console.plans.console import Console
from tests.shell.helpers import Spool


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    base = tmp_path / "it's a $(touch pwned) dir"
    base.mkdir()
    with a_cluster(base) as made:
        yield made


@pytest.fixture
def served(cluster: Cluster) -> Iterator[Console]:
    """A console for the queue of the agents."""
    made = Console(cluster.paths.root, home=str(cluster.base))
    yield made
    made.close()


def test_two_that_run_are_stopped_and_five_that_wait_are_cancelled(cluster: Cluster, served: Console) -> None:
    cluster.start(simulate="2")
    running = [cluster.submit("trap '' TERM; sleep 600\n", f"run{number}.sh") for number in range(2)]
    for task in running:
        cluster.wait_for_line(task, "==== started")
    waiting = [cluster.submit("#GPUQ --gpus 2\ntrue\n", f"wait{number}.sh") for number in range(5)]
    other = cluster.submit("#GPUQ --gpus 8\ntrue\n", "other.sh")
    plan = served.plan("stop", *running, *waiting)
    counts = plan["counts"]
    assert (counts["stop"], counts["cancel"], counts["total"]) == (2, 5, 7)
    assert (plan["must_confirm"], plan["can_undo"], plan["grace_s"]) == (True, True, 10.0)
    outcome = served.run(plan)
    assert (outcome["state"], outcome["counts"]) == ("finished", {"done": 7}), cluster.dump()
    assert [cluster.where(task) for task in running + waiting] == [["failed"]] * 7
    assert cluster.where(other) == ["pending"]
    (answer,) = outcome["answers"]
    assert answer["reply"] == "answered"
    assert sum("stopped run" in line for line in answer["lines"]) == 2
    assert served.undo(plan)["counts"] == {"done": 5}
    for task in waiting:
        cluster.wait_for(task, "done")
    assert [cluster.where(task) for task in running] == [["failed"]] * 2, "what was stopped stays stopped"


def test_the_grace_is_that_of_the_queues_own_config(cluster: Cluster, served: Console) -> None:
    task = cluster.submit("true\n")
    Path(cluster.paths.config).write_text("stop_grace: 33s\n")
    assert served.plan("stop", task)["grace_s"] is None, "nothing that runs is stopped"
    cluster.start(simulate="1")
    running = cluster.submit("sleep 600\n", "run.sh")
    cluster.wait_for_line(running, "==== started")
    assert served.plan("stop", running)["grace_s"] == 33.0


def test_a_task_that_started_between_plan_and_run_goes_on(cluster: Cluster, served: Console) -> None:
    task = cluster.submit("sleep 600\n", "train.sh")
    plan = served.plan("stop", task)
    assert plan["counts"]["cancel"] == 1
    cluster.start(simulate="1")
    cluster.wait_for_line(task, "==== started")
    outcome = served.run(plan)
    assert outcome["counts"] == {"gone": 1}
    assert outcome["outcomes"][0]["where"].startswith("running/")
    assert cluster.where(task) == ["running"]


def test_who_is_submitted_in_a_browser_runs_at_home_with_its_arguments(cluster: Cluster, served: Console) -> None:
    cluster.start(simulate="1")
    wait_until(lambda: served.plan("pause")["nodes"][0]["presence"] == "alive", "the agent seen")
    text = 'echo "in $PWD as $0 with $1"\n'
    scripts = [{"name": "mein Lauf – 实验.sh", "text": text}]
    plan = served.plan("submit", scripts=scripts, options={"arguments": ["a b"], "gpus": "1"})
    (script,) = plan["scripts"]
    assert script["starts"], script
    outcome = served.run(plan)
    (task,) = outcome["submitted"]
    cluster.wait_for(task, "done")
    assert f"in {cluster.base} as " in cluster.log(task)
    assert "with a b" in cluster.log(task)


def test_agents_are_asked_about_what_waits(cluster: Cluster, served: Console) -> None:
    cluster.start(simulate="1")
    tasks = [cluster.submit("#GPUQ --gpus 4\ntrue\n", f"big{number}.sh") for number in range(3)]
    outcome = served.post("/explain", {"tasks": tasks, "wait_s": 30})
    assert outcome["counts"] == {"done": 3}
    assert all("needs 4 GPUs; this node serves 1" in one["why"]["text"]["en"] for one in outcome["outcomes"]), outcome


def test_a_retry_is_run_again_and_its_undo_touches_only_what_still_waits(cluster: Cluster, served: Console) -> None:
    tasks = [cluster.submit("exit 3\n", f"{number}.sh", said={"needs": {"retries": "0"}}) for number in range(3)]
    cluster.start(simulate="1")
    for task in tasks:
        cluster.wait_for(task, "failed")
    cluster.kill(cluster.agents[0])
    plan, outcome = served.do_it("retry", *tasks)
    assert outcome["counts"] == {"done": 3}
    cluster.start(simulate="1")
    cluster.wait_for(tasks[2], "failed")
    assert len(cluster.tries(tasks[2])) == 2
    undone = served.undo(plan)
    assert undone["counts"] == {"gone": 3}
    assert [cluster.where(task) for task in tasks] == [["failed"]] * 3


# -- several at once ------------------------------------------------------------------------------------------------


def test_two_runs_of_a_plan_at_once_are_one(console: Console, spool: Spool) -> None:
    names = [spool.add("pending", f"{number}.sh") for number in range(300)]
    plan = console.plan("cancel", *(name[4:] for name in names))
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda _: console.run(plan), range(6)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["counts"] == {"done": 300}
    assert len(console.get("/actions")) == 1
    progress = [note.done for note in console.notes if note.plan == plan["id"]]
    assert progress == sorted(progress)
    assert progress[-1] == 300


def test_two_consoles_on_one_queue_lose_nothing_between_them(console: Console, spool: Spool) -> None:
    names = [spool.add("pending", f"{number}.sh") for number in range(400)]
    other = Console(spool.path, home="/")
    try:
        plans = [one.plan("cancel", *(name[4:] for name in names)) for one in (console, other)]
        with ThreadPoolExecutor() as pool:
            outcomes = list(pool.map(lambda pair: pair[0].run(pair[1]), zip((console, other), plans, strict=True)))
    finally:
        other.close()
    assert spool.names("failed") == sorted(names)
    assert spool.names("pending") == []
    done = sum(outcome["counts"].get("done", 0) for outcome in outcomes)
    gone = sum(outcome["counts"].get("gone", 0) for outcome in outcomes)
    assert done + gone == 800
    assert done >= 400, outcomes


KILLED = """
import sys
sys.path.insert(0, {root!r})
from tests.console.plans.console import Console
console = Console({path!r}, home="/")
plan = console.plan("cancel", filter={{"state": "waiting"}})
print(plan["counts"]["cancel"], flush=True)
sys.stdin.readline()
console.run(plan, wait_s=0)
sys.stdin.readline()
"""


def test_a_console_that_is_killed_amid_a_thousand_loses_nothing_and_the_next_finishes(
    console: Console, spool: Spool
) -> None:
    names = sorted(spool.add("pending", f"{number}.sh") for number in range(1000))
    code = KILLED.format(root=str(ROOT), path=str(spool.path))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "1000\n"
        process.stdin.write("go\n")
        failed = spool.path / "failed"
        while len(os.listdir(failed)) < 50:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    cancelled = len(spool.names("failed"))
    assert sorted(spool.names("failed") + spool.names("pending")) == names
    plan = console.plan("cancel", filter={"state": "waiting"})
    assert plan["counts"]["cancel"] == 1000 - cancelled
    if plan["can_run"]:
        console.run(plan)
    assert spool.names("failed") == names
    assert spool.names("pending") == []
