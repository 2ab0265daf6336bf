"""Tasks are warned before their end, by the signal that they have asked for, and go on from what they saved."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import Cluster, wait_until

TRAINS = """
import multiprocessing, os, signal, sys, time
MAIN = os.getpid()
def save(number, frame):
    with open("saved", "a") as file:
        file.write(f"{os.getpid()} {signal.Signals(number).name}\\n")
    if os.getpid() == MAIN:
        sys.exit(0)
signal.signal(signal.SIGUSR1, save)
if int(os.environ["GPU_QUEUE_TRY"]) > 1:
    print("goes on from", open("saved").read().split()[1], flush=True)
    sys.exit(0)
context = multiprocessing.get_context("fork")
workers = [context.Process(target=time.sleep, args=(600,), daemon=True) for _ in range(3)]
for worker in workers:
    worker.start()
print("trains", flush=True)
time.sleep(600)
"""
SHELL = """
if [ "$GPU_QUEUE_TRY" -gt 1 ]; then echo goes on; exit 0; fi
trap 'echo warned; touch "$GPU_QUEUE_REQUEUE"; exit 3' USR1
echo trains
sleep 600 & wait
"""


def submit(cluster: Cluster, script: str, name: str, directory: str, **needs: Any) -> str:
    where = cluster.base / directory
    where.mkdir()
    return cluster.submit(script, name, said={"cwd": str(where)}, **needs)


def saved(cluster: Cluster, directory: str) -> list[str]:
    return (cluster.base / directory / "saved").read_text().splitlines()


def test_before_its_limit_the_scripts_own_process_is_warned_and_saves_once(cluster: Cluster) -> None:
    cluster.start(simulate="5")
    train = submit(cluster, TRAINS, "train.py", "a", time="8s", signal="USR1@5")
    # Below bash, which does not hand it on; a program that catches it is told all the same.
    below = submit(cluster, "python3 train.py\nexit $?\n", "b.sh", "b", time="8s", signal="all:USR1@5")
    (cluster.base / "b/train.py").write_text(TRAINS)
    shell = submit(cluster, SHELL, "c.sh", "c", time="8s", signal="B:USR1@5")
    deaf = submit(cluster, "echo here; sleep 600\n", "d.sh", "d", time="5s", signal="USR1@4")
    ignored = submit(cluster, "trap '' USR1; sleep 600\n", "e.sh", "e", time="5s", signal="USR1@4")
    for task in (train, below, shell):
        cluster.wait_for(task, "done")
        assert "goes on" in cluster.log(task)
    assert len(saved(cluster, "a")) == 1, "its workers inherited the handler"
    assert len(saved(cluster, "b")) == 1
    first = cluster.tries(train)[0]
    assert (first["outcome"], first["status"], first["to"]) == ("saved", 0, "pending")
    assert first["warned_at"]
    assert "==== told USR1, 5s before its --time is over: python3 (process " in cluster.log(train)
    assert cluster.tries(shell)[0]["outcome"] == "again"
    for task in (deaf, ignored):
        cluster.wait_for(task, "failed")
        assert cluster.tries(task)[-1]["outcome"] == "timeout", "it did not die of a warning"
        assert "bash does not catch USR1, and was not told yet" in cluster.log(task)
        assert "warned_at" not in cluster.tries(task)[-1]


@pytest.mark.parametrize("end", ["TERM", pytest.param("shutdown", marks=pytest.mark.long), "lifetime"])
def test_an_agent_that_leaves_warns_first(cluster: Cluster, end: str) -> None:
    flags = ("--lifetime", "12s", "--at-end", "stop") if end == "lifetime" else ()
    agent = cluster.start(*flags, "--leave-grace", "8s", simulate="3")
    train = submit(cluster, TRAINS, "train.py", "a", signal="USR1@3")
    broken_off = cluster.submit("trap 'echo cleans up' USR1; echo waits; sleep 600 & wait\n", signal="USR1@3")
    plain = cluster.submit("trap 'exit 7' TERM; echo here; sleep 600 & wait\n")
    for task, line in ((train, "trains"), (plain, "here"), (broken_off, "waits")):
        cluster.wait_for_line(task, line)
    if end == "TERM":
        agent.send_signal(signal.SIGTERM)
    elif end == "shutdown":
        cluster.command_all("shutdown", wait=False)
    assert agent.wait(40) == 0, cluster.dump()
    assert len(saved(cluster, "a")) == 1
    assert saved(cluster, "a")[0].endswith("SIGUSR1")
    assert cluster.where(train) == cluster.where(plain) == ["pending"]
    assert [record["outcome"] for record in cluster.tries(train)] == ["saved"]
    assert [record["outcome"] for record in cluster.tries(plain)] == ["requeued"]
    assert [(record["outcome"], record["status"]) for record in cluster.tries(broken_off)] == [("saved", 138)]
    assert "was ended with it: sleep (a trap that runs breaks wait off: wait once more)" in cluster.log(broken_off)
    cluster.start(simulate="2")
    cluster.wait_for(train, "done")


def test_a_try_is_warned_once_also_by_two_agents_and_saves_also_without_one(cluster: Cluster) -> None:
    counts = TRAINS.replace("if os.getpid() == MAIN:", "if os.path.exists('leave'):")
    first = cluster.start(simulate="2")
    train = submit(cluster, counts, "train.py", "a", time="1h", signal="USR1@3600")
    wait_until((cluster.base / "a/saved").exists, "the warning")
    cluster.kill(first)
    cluster.start(simulate="2")
    wait_until(lambda: any(one["running"] for one in cluster.nodes()), "the second agent to take it up")
    looked_at = time.monotonic() + 2.5  # longer than it waits to look again
    wait_until(lambda: time.monotonic() > looked_at, "a look of the second one")
    assert len(saved(cluster, "a")) == 1
    (second,) = [agent for agent in cluster.agents if agent.poll() is None]
    cluster.kill(second)
    pid = int(saved(cluster, "a")[0].split()[0])
    Path(cluster.base, "a/leave").touch()
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: any(name.endswith("=255-saved") for name in cluster.names("running")), "its name")
    cluster.start(simulate="2")
    cluster.wait_for(train, "done")
    assert [record["outcome"] for record in cluster.tries(train)] == ["saved", "succeeded"]
    assert cluster.tries(train)[0]["status"] == 0
