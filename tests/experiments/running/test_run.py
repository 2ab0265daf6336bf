"""Real runs of ``gpu-queue run`` with real agents: whatever is killed or typed, each run is run once."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.specs.reading import read_experiment
from gpu_queue.task import State
from tests.agent.harness import wait_until
from tests.experiments.running.lab import CTRL_C, Lab, Typed, a_lab

DATASETS, ALGORITHMS, SEEDS = ("mnist", "cifar10"), ("fedavg", "fedprox", "scaffold", "ours"), "012"
NAMES = [f"{dataset}_{algorithm}_s{seed}" for dataset in DATASETS for algorithm in ALGORITHMS for seed in SEEDS]
MULTI_SEED = """\
group: multi_seed
jobs:
  train:
    name: "{dataset}_{algo}_s{seed}"
    matrix:
      dataset: [mnist, cifar10]
      algo: [fedavg, fedprox, scaffold, ours]
      seed: [0, 1, 2]
    run: echo {name} >>ran; echo {algo} on $CUDA_VISIBLE_DEVICES
"""
GATED = """\
jobs:
  train:
    matrix: {seed: [0, 1, 2, 3, 4, 5]}
    run: |
      echo {name} >>ran
      until [ -e gate ]; do sleep 0.02; done
"""
SIX = [f"train-{seed}" for seed in range(6)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "我的 实验 $(touch pwned)"
    base.mkdir()
    return base


@pytest.fixture
def gated(base: Path) -> Iterator[Lab]:
    with a_lab(base, GATED) as lab:
        yield lab


def test_24_runs_of_a_file_are_run_and_run_again_only_where_the_log_was_removed(base: Path) -> None:
    with a_lab(base, MULTI_SEED, "多种子 jobs.yaml") as lab:
        status, said = lab.run()
        assert status == 0, said
        assert "24 of 24 done" in said
        assert lab.ran == Counter(NAMES)
        logs = base / "logs" / "multi_seed"
        assert sorted(path.name for path in logs.iterdir()) == sorted(f"{name}.log" for name in NAMES)
        assert "ours on " in (logs / "mnist_ours_s0.log").read_text()
        assert lab.paths.root == f"{base}/.gpu-queue/多种子 jobs"
        assert (base / ".gpu-queue" / ".gitignore").read_text() == "*\n"
        lab.wait_for_agents_to_end()
        assert "shared server" in lab.agent_said().lower()
        assert "ended" in lab.agent_said()

        status, again = lab.run()
        assert (status, "24 of 24 done" in again) == (0, True), again
        assert lab.agent_said().count("Started at") == 1, "nothing was to be run"

        (logs / "mnist_ours_s1.log").unlink()
        status, said = lab.run()
        assert (status, lab.ran - Counter(NAMES)) == (0, {"mnist_ours_s1": 1}), said
        assert (logs / "mnist_ours_s1.log").exists()


def test_what_failed_is_told_by_the_status_and_run_again_after_mending(base: Path) -> None:
    text = """\
defaults: {log_dir: null}
jobs:
  fails: {run: "echo fails >>ran; [ -e mended ]"}
  stubborn: {retries: 2, run: 'echo stubborn >>ran; [ "$GPU_QUEUE_TRY" -ge 3 ]'}
  behind: {after: fails, gpus: 0, run: echo behind >>ran}
"""
    with a_lab(base, text) as lab:
        lab.more = {"QUEUE_ROOT": str(base / "queues")}
        status, said = lab.run("--job-id", "mine")
        assert status == 1, said
        assert "1 of 3 done, 2 failed" in said
        told = next(line for line in said.splitlines() if re.search(r"FAILED +fails ", line))
        assert all(words in told for words in ("exit status 1", " after ", " on GPU ")), told
        assert re.search(r"done +stubborn .* after ", said), said
        assert "refused: dependency fails" in said
        assert lab.ran == {"fails": 1, "stubborn": 3}, "no retries unless the file says so"
        assert not (base / ".gpu-queue").exists()
        (base / "mended").touch()
        status, said = lab.run("--job-id", "mine")
        assert (status, lab.ran) == (0, {"fails": 2, "stubborn": 3, "behind": 1}), said
        assert len(os.listdir(base / "queues" / "mine" / "done")) == 3, "what had failed kept its id"


def test_whoever_is_killed_nothing_is_lost_and_nothing_is_run_twice(gated: Lab) -> None:
    first, second = gated.type(), gated.type()  # two at once, of which one starts the agent
    agent = gated.agent()
    wait_until(lambda: len(gated.ran) == 4, "four that run", dump=lambda: first.said + second.said)
    for one in (first, second):
        one.wait_for("0 of 6 done")
    assert len(gated.spool.find("")) == 6, "each was queued once"
    first.kill()
    second.kill()
    third = gated.type()
    third.wait_for(f"an agent (process {agent}) serves it here already")
    os.kill(agent, signal.SIGKILL)
    third.wait_for("started again: it is gone")
    assert wait_until(lambda: [pid for pid in gated.pages() if pid != agent], "another agent")
    gated.open_gate()
    assert third.status() == 0, third.said
    assert gated.ran == Counter(SIX)


def test_a_run_that_was_changed_while_it_runs_follows_when_it_has_ended(gated: Lab) -> None:
    gated.file.write_text(
        "jobs:\n  a:\n    run: |\n      echo old >>ran\n      until [ -e gate ]; do sleep 0.02; done\n"
    )
    first = gated.type()
    wait_until(lambda: gated.ran == {"old": 1}, "it runs", dump=lambda: first.said)
    gated.file.write_text("jobs:\n  a: {run: echo new >>ran}\n  t: {after: a, gpus: 0, run: echo after >>ran}\n")
    second = gated.type()
    second.wait_for("it is queued when it has ended")
    second.wait_for("0 of 2 done")
    assert len(gated.spool.find("")) == 1, "nothing is queued beside it"
    first.kill()
    gated.open_gate()
    assert second.status() == 0, second.said
    assert "2 of 2 done" in second.said
    assert (gated.base / "ran").read_text().split() == ["old", "new", "after"]


def test_tasks_that_are_taken_out_for_those_of_another_load_are_followed_there(gated: Lab) -> None:
    typed = gated.type(simulate="1")
    wait_until(lambda: sum(gated.ran.values()) == 1, "one that runs", dump=lambda: typed.said)
    typed.wait_for("0 of 6 done")
    # Another machine takes ours out, and queues the run anew a moment later.
    ours = gated.spool.find("train-5")[0]
    experiment = read_experiment(str(gated.file))
    assert gated.spool.cancel(ours)
    typed.wait_for("cancelled train-5")
    ((run, task),) = load_experiment(gated.paths, experiment, retries=0).queued
    gated.open_gate()
    assert typed.status() == 0, typed.said
    assert (run.name, gated.ran) == ("train-5", Counter(SIX))
    assert [one.id for one in gated.spool.find("train-5", State.DONE)] == [task.id]


def leave(typed: Typed, answer: bytes) -> None:
    """Press Ctrl-C, and this when it asks."""
    typed.press(CTRL_C)
    typed.wait_for("[Y/n]")
    typed.press(answer)
    assert typed.status() == 130, typed.said


def test_ctrl_c_asks_whether_to_leave_it_running(gated: Lab) -> None:
    typed = gated.type(terminal=True)
    agent = gated.agent()
    wait_until(lambda: sum(gated.ran.values()) == 4, "four that run", dump=lambda: typed.said)
    leave(typed, CTRL_C)
    assert [*gated.pages()] == [agent], "the second leaves"

    typed = gated.type(terminal=True)
    typed.wait_for("serves it here already")
    leave(typed, b"n\n")
    gated.wait_for_agents_to_end()
    assert len(gated.spool.find("", State.PENDING)) == 6, "what ran waits again"

    typed = gated.type(terminal=True)
    wait_until(lambda: sum(gated.ran.values()) == 8, "four that run", dump=lambda: typed.said)
    leave(typed, b"no\n")
    assert "Stopped; 6 runs left" in typed.said
    assert not gated.pages(), "an agent of its own it waits for"
    assert len(gated.spool.find("", State.PENDING)) == 6

    typed = gated.type(terminal=True)
    wait_until(lambda: sum(gated.ran.values()) == 12, "four that run", dump=lambda: typed.said)
    leave(typed, b"\n")
    assert "It goes on: " in typed.said
    gated.open_gate()
    wait_until(lambda: len(gated.spool.find("", State.DONE)) == 6, "the agent, which goes on")
    gated.wait_for_agents_to_end()


def test_where_no_agent_can_begin_it_says_why(base: Path) -> None:
    with a_lab(base, GATED) as lab:
        status, said = lab.run("--max-util", "300", "--check-time", "now")
        assert status == 2
        assert "--max-util: '300'" in said
        assert "--check-time: 'now'" in said
        assert not (base / ".gpu-queue").exists()
        status, said = lab.run(simulate="four")
        assert status == 1, said
        assert "no agent can be started here" in said
        assert "'four'" in said


def test_what_needs_more_than_there_is_ends_it_with_the_reason(base: Path) -> None:
    text = """\
jobs:
  big: {gpus: 9, run: "true"}
  behind: {after: big, run: "true"}
  fits: {run: echo fits >>ran}
"""
    with a_lab(base, text) as lab:
        status, said = lab.run()
        assert (status, lab.ran) == (1, {"fits": 1}), said
        assert "what is left can never run here: big: needs 9 GPUs; this node serves 4" in said
        lab.wait_for_agents_to_end()
        assert len(lab.spool.find("", State.PENDING)) == 2


@pytest.mark.parametrize(
    "command",
    ["MASTER_PORT=${MASTER_PORT:-29500} {python} ddp.py"]
    + [pytest.param("{python} -m torch.distributed.run --nproc_per_node=2 ddp.py", marks=pytest.mark.soak)],
    ids=["forks", "torchrun"],
)
def test_torch_trains_in_parallel_on_two_gpus(base: Path, command: str) -> None:
    pytest.importorskip("torch.distributed")
    (base / "ddp.py").write_text(DDP)
    text = f"jobs:\n  ddp:\n    gpus: 2\n    run: {command.replace('{python}', sys.executable)}\n"
    with a_lab(base, text) as lab:
        status, said = lab.run(simulate="2")
        log = (base / "logs" / "jobs" / "ddp.log").read_text()
        assert status == 0, said + log
        for rank in range(2):
            assert f"rank {rank} of 2 on GPUs 0,1: the gradient is 1.5" in log


DDP = """\
import os
import sys
import torch
import torch._dynamo  # each rank would do so, for seconds
from torch.nn.parallel import DistributedDataParallel

if "RANK" not in os.environ:  # without torchrun
    child = os.fork()
    os.environ.update(RANK="1" if child else "0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
model = DistributedDataParallel(torch.nn.Linear(1, 1, bias=False))
model(torch.tensor([[1.0 + rank]])).sum().backward()
gradient = model.module.weight.grad.item()  # of inputs 1 and 2: each rank has their mean
gpus = os.environ["CUDA_VISIBLE_DEVICES"]
print(f"rank {rank} of {torch.distributed.get_world_size()} on GPUs {gpus}: the gradient is {gradient}", flush=True)
torch.distributed.destroy_process_group()
if "child" in globals() and child:
    sys.exit(os.waitpid(child, 0)[1])
"""
