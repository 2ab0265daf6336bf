"""Reports of what real agents ran, on a fake driver's cards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.experiments.queueing import load_experiment
from gpu_queue.experiments.specs.nouns import Experiment, Run
from tests.agent.harness import Cluster, a_cluster, wait_until
from tests.fake_nvml import GIB, FakeGpu, Scenario, build, environment

ROOT = Path(__file__).parents[3]
GPU_QUEUE = [sys.executable, "-c", "import sys; from gpu_queue.cli import main; sys.exit(main())"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with a_cluster(tmp_path) as made:
        yield made


def load(cluster: Cluster, *runs: Run) -> dict[str, str]:
    """Queue runs of a file; returns their ids by their names."""
    place = str(cluster.base / "g.yaml")
    loaded = load_experiment(cluster.paths, Experiment(place, place, runs))
    return {run.name: task.id or "" for run, task in loaded.queued}


def a_run(name: str, text: str, **more: Any) -> Run:
    return replace(Run(name, "train", "g", f"#!/bin/sh\n{text}\n", name, cwd="/", gpus="1", memory="40G"), **more)


def report(cluster: Cluster, *words: str, **variables: str) -> str:
    variables = {"PYTHONPATH": str(ROOT), "QUEUE_ROOT": str(cluster.queue_root), "COLUMNS": "120", **variables}
    command = [*GPU_QUEUE, "report", "g", "--job-id", cluster.job_id, *words]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def runs_of(cluster: Cluster) -> dict[str, dict[str, Any]]:
    value = json.loads(report(cluster, "--json"))
    return {run["name"]: run for run in value["groups"][0]["runs"]}


def test_a_report_tells_what_runs_took_while_they_run_and_afterwards(cluster: Cluster, tmp_path: Path) -> None:
    tenants = tmp_path / "tenants"
    tenants.mkdir()
    cards = [FakeGpu("GPU-aaaa"), FakeGpu("GPU-bbbb")]
    scenario = Scenario(tmp_path / "scenario", gpus=cards, tenants=str(tenants))
    holds = f"echo {{size}} {{percent}} >{tenants}/.$$ && mv {tenants}/.$$ {tenants}/$CUDA_VISIBLE_DEVICES.$$; "
    gate = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    holding = holds.format(size=10 * GIB, percent=80) + gate
    failing = f"[ $GPU_QUEUE_TRY = 1 ] && {{ echo CUDA out of memory; exit 1; }}; {gate}; exit 3"
    ids = load(
        cluster,
        a_run("little", holding, params=(("seed", "0"),)),
        a_run("fails", failing, retries=1, memory=None, params=(("seed", "1"),)),
        a_run("after", "true", gpus="0", memory=None, after=("fails",)),
    )
    cluster.start(simulate=None, env=environment(build(tmp_path / "nvml"), scenario), GPU_QUEUE_BEAT="0.5s")
    wait_until(lambda: len(cluster.tries(ids["fails"])) == 2, "its second try", dump=cluster.dump)
    wait_until(
        lambda: any(gpu["memory_used_bytes"] == 10 * GIB for node in cluster.nodes() for gpu in node["gpus"]),
        "its memory to be seen",
        dump=cluster.dump,
    )
    told = runs_of(cluster)
    assert [(name, run["state"], run["tries"]) for name, run in told.items()] == [
        ("little", "running", 1),
        ("fails", "running", 2),
        ("after", "waiting", 0),
    ]
    assert told["little"]["ran_s"] > 0
    assert told["little"]["memory_peak_bytes"] is None, "it is told with the end"
    assert told["fails"]["between_s"] >= 0
    seen_at = time.monotonic()
    wait_until(lambda: time.monotonic() > seen_at + 2.2, "two looks of the agent at its GPUs, one a second")
    (tmp_path / "go").touch()
    cluster.wait_for(ids["little"], "done")
    cluster.wait_for(ids["after"], "failed")
    told = runs_of(cluster)
    little, fails, after = told["little"], told["fails"], told["after"]
    record = cluster.tries(ids["little"])[0]
    assert (little["state"], little["outcome"], little["gpus"]) == ("done", "succeeded", 1)
    assert (little["memory_asked_bytes"], little["memory_peak_bytes"]) == (40 * GIB, 10 * GIB)
    assert little["memory"] == "far less"
    assert little["utilization_mean_percent"] == record["gpu_usage"][0]["utilization_mean_percent"] > 0
    assert little["ran_s"] == little["last_ran_s"] == record["duration_s"]
    assert little["gpu_hours"] == pytest.approx(record["duration_s"] / 3600, abs=1e-6)
    assert little["params"] == {"seed": "0"}
    tries = cluster.tries(ids["fails"])
    assert (fails["state"], fails["outcome"], fails["tries"]) == ("failed", "failed(3)", 2)
    assert fails["ran_s"] == pytest.approx(sum(one["duration_s"] for one in tries), abs=0.01)
    assert fails["last_ran_s"] == tries[1]["duration_s"]
    assert fails["between_s"] is not None
    assert (after["state"], after["outcome"], after["tries"], after["ran_s"]) == ("failed", "refused", 0, None)
    assert "fails" in after["reason"]
    table = report(cluster)
    assert table.startswith("g: 3 runs: 1 done, 2 failed\n")
    assert re.search(r"^failed tries: oom 1, (unknown|runtime_error) 1$", table, re.MULTILINE), table
    assert "memory: little (10G of 40G) took less than half of what was asked for\n" in table
    assert "clock" not in table, "all of it is by one"


def test_what_ended_while_no_agent_lived_did_not_run_until_one_came(cluster: Cluster) -> None:
    ids = load(cluster, a_run("a", f"until [ -e {cluster.base}/go ]; do sleep 0.05; done", memory=None))
    agent = cluster.start()
    wait_until(lambda: cluster.tries(ids["a"]), "its record", dump=cluster.dump)
    cluster.kill(agent)
    (cluster.base / "go").touch()
    wait_until(
        lambda: "==== " in cluster.log(ids["a"]) or list(cluster.local.glob("agents/*/tries/*/status")), "its end"
    )
    ended_at = time.monotonic()
    wait_until(lambda: time.monotonic() > ended_at + 3, "a time in which nobody looks")
    cluster.start()
    cluster.wait_for(ids["a"], "done")
    after = re.search(r"==== exit 0 after ([0-9.]+) s", cluster.log(ids["a"]))
    assert after is not None
    assert runs_of(cluster)["a"]["ran_s"] == pytest.approx(float(after[1]), abs=0.2)
