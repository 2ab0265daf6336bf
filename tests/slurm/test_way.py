"""The way to Slurm and what a real one answers."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, wait_until
from tests.slurm.cluster import Slurm, a_slurm
from tests.slurm.conftest import only_with_all, refuse_unless_asked
from tests.slurm.served import WAY, Served, a_served

ODD = 'it\'s "$(touch pwned)" `touch pwned` #1 \\ 训练 %j,x '


@pytest.fixture
def served(slurm: Slurm, tmp_path: Path) -> Iterator[Served]:
    with a_served(slurm, tmp_path) as made:
        yield made


class Job:
    """A job of the way's whose start script is the test's own."""

    def __init__(self, served: Served, base: Path, script: str, **asked: str) -> None:
        self.served = served
        base.mkdir(parents=True)
        self.log_dir = base
        self.environment = {
            "GQ_JOB_ID": "exp",
            "GQ_NAME": "alice-exp",
            "GQ_NONCE": "0123456789ab",
            "GQ_GPUS": "1",
            "GQ_NODES": "1",
            "GQ_SECONDS": "3600",
            "GQ_START": f"{base}/start.sh",
            "GQ_LOG_DIR": str(base),
            "GQ_AFTER": "",
            **asked,
        }
        prelude = self.way("prelude").stdout
        (base / "start.sh").write_text(f"#!/bin/bash\ngpus=all\n{prelude}\n{script}\n")
        (base / "request").write_text(self.way("render").stdout)
        done = self.way("submit", str(base / "request"))
        assert done.returncode == 0, done.stderr
        self.id = done.stdout.strip()

    def way(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.served.way(*words, **self.environment)

    def said(self) -> list[str]:
        """What the job's script printed, once the job has ended."""
        self.served.wait_for_end(self.id)
        (log,) = self.log_dir.glob("slurm-*.log")
        return log.read_text().splitlines()


def test_a_running_slurm_is_detected(served: Served) -> None:
    done = served.way("detect")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "controller" in done.stdout


@only_with_all
def test_any_name_and_any_directory_come_through_slurm_as_they_are(served: Served, tmp_path: Path) -> None:
    name = f"alice-{ODD}"
    job = Job(served, tmp_path / ODD, 'printf "%s\\n" "$0" "$GPU_QUEUE_ALLOCATION" "$PWD"; sleep 30', GQ_NAME=name)
    served.slurm.wait_for_state(job.id, "RUNNING")
    log = job.log_dir / "slurm-0123456789ab.log"
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= 3, "the script's words", dump=served.dump)
    assert log.read_text().splitlines()[-3:] == [f"{job.log_dir}/start.sh", f"slurm:{job.id}.0", "/"]
    for words in (("--name", name), ("--prefix", "alice-it's"), (job.id,)):
        found = [line.split("\t") for line in served.way("states", *words).stdout.splitlines()]
        assert found == [[job.id, "running", "RUNNING", "0123456789ab", name.rstrip()]], words
    assert served.states("--name", "alice-it's") == []


def test_the_job_is_told_its_end_and_the_grace_that_slurm_gives(served: Served, tmp_path: Path) -> None:
    job = Job(served, tmp_path / "job", "env", GQ_SECONDS="7200")
    facts = dict(line.split("=", 1) for line in job.said() if "=" in line)
    assert abs(int(facts["GPU_QUEUE_ALLOCATION_END"]) - time.time() - 7200) < 60
    assert facts["GPU_QUEUE_ALLOCATION_GRACE"] == "30"
    assert facts["GPU_QUEUE_NODE_NAME"] == f"{facts['SLURMD_NODENAME']}-{job.id}"
    assert "GPU_QUEUE_SWEEP" not in facts


@pytest.mark.parametrize("asked", [{"GQ_GPUS": "all"}, {"SLURM_WAY_PARTITION": "whole"}])
def test_a_job_that_has_its_node_alone_has_all_its_gpus_and_sweeps_it(
    served: Served, tmp_path: Path, asked: dict[str, str]
) -> None:
    facts = dict(line.split("=", 1) for line in Job(served, tmp_path / "job", "env", **asked).said() if "=" in line)
    assert facts["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert facts["GPU_QUEUE_SWEEP"] == "all"


@only_with_all
def test_a_job_begins_when_the_one_before_it_has_ended_however(served: Served, tmp_path: Path) -> None:
    first = Job(served, tmp_path / "1", "sleep 300")
    second = Job(served, tmp_path / "2", "sleep 300", GQ_AFTER=f"{first.id}.0")
    served.slurm.wait_for_state(first.id, "RUNNING")
    assert served.states(second.id)[0][1:3] == ["queued", "PENDING (Dependency)"]
    assert served.way("cancel", first.id).returncode == 0
    served.slurm.wait_for_state(second.id, "RUNNING", timeout_s=30)
    assert served.way("cancel", second.id, first.id, "99999").returncode == 0  # gone, and never there
    served.wait_for_end(second.id)
    assert [state[1] for state in served.states(first.id, second.id, "99999")] == ["ended", "ended", "unknown"]


@only_with_all
def test_a_job_that_submits_another_hands_nothing_of_its_own_on(served: Served, tmp_path: Path) -> None:
    inner = Job(served, tmp_path / "inner", "env", GQ_GPUS="2")
    inner.said()
    request = shlex.quote(str(tmp_path / "inner/request"))
    outer = Job(served, tmp_path / "outer", f"{shlex.quote(WAY)} submit {request}", SLURM_WAY_ARGS="--mem=100")
    submitted = outer.said()[-1]
    served.wait_for_end(submitted)
    (log,) = inner.log_dir.glob("*.log")
    facts = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)
    assert facts["SLURM_JOB_ID"] == submitted
    assert facts["GPU_QUEUE_ALLOCATION"] == f"slurm:{submitted}.0"
    assert facts["GPU_QUEUE_NODE_NAME"].endswith(f"-{submitted}")
    assert len(facts["CUDA_VISIBLE_DEVICES"].split(",")) == 2
    assert facts.get("SLURM_MEM_PER_NODE") != "100"


@only_with_all
def test_a_shell_inside_a_job_sees_its_gpus(served: Served, tmp_path: Path) -> None:
    job = Job(served, tmp_path / "job", "sleep 300", GQ_GPUS="3")
    served.slurm.wait_for_state(job.id, "RUNNING")
    typed = "echo saw $SLURM_JOB_ID $CUDA_VISIBLE_DEVICES\nexit\n"
    done = subprocess.run(
        ["script", "-qec", f"{shlex.quote(WAY)} exec {job.id}.0", "/dev/null"],
        env={**served.environment, "SHELL": "/bin/bash"},
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert f"saw {job.id} 0,1,2" in done.stdout
    served.slurm.run("scancel", job.id)
    served.wait_for_end(job.id)
    assert served.way("exec", job.id).returncode not in (0, 100)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"SLURM_WAY_PARTITION": "nope"}, "Invalid partition name specified"),
        ({"GQ_GPUS": "9"}, "Requested node configuration is not available"),
        ({"SLURM_WAY_ARGS": "--bogus"}, "unrecognized option '--bogus'"),
    ],
)
def test_a_refusal_is_shown_whole_and_nothing_runs(
    served: Served, tmp_path: Path, asked: dict[str, str], told: str
) -> None:
    with pytest.raises(AssertionError, match=told):
        Job(served, tmp_path / "job", "true", **asked)
    assert served.way("submit", str(tmp_path / "job/request")).returncode == 1
    assert served.slurm.ask("squeue", "-h") == ""


@only_with_all
def test_while_the_controller_is_away_nothing_is_known_and_nothing_is_submitted(tmp_path: Path) -> None:
    refuse_unless_asked()
    with a_slurm(nodes=1) as slurm, a_served(slurm, tmp_path) as served:
        (job,) = served.submit("1")
        task = served.a_task(0.5)
        served.wait_until_all_done([task])
        slurm.stop_controller()
        asked = [
            subprocess.Popen(words, env=served.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for words in (
                (WAY, "detect"),
                (WAY, "states", job),
                (WAY, "states", "--name", "root-exp"),
                (WAY, "cancel", job),
                (str(ROOT / "submit.sh"), "exp", "1", "--way", "slurm"),
            )
        ]
        task = served.a_task(0.5)  # whoever serves, serves on
        served.queue.wait_for(task, "done")
        answers = [(one.communicate(timeout=60), one.returncode) for one in asked]
        assert [status for _, status in answers] == [1, 111, 111, 111, 75], answers
        assert all(not out for (out, _), _ in answers[:4])
        slurm.start_controller()
        wait_until(lambda: served.word(job) == "running", "the job again", dump=served.dump)
