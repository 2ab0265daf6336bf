"""The cluster's side of the document that this project began with, typed as it stands: ``./submit.sh`` and ``sco``.

``sco`` is the stand-in; its workers are processes of this machine with simulated GPUs, and the agents are real ones.
Paths below /mnt/afs are a directory of the test, as are conda and its Python.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sco.acp import HERE, PROJECT, Platform, Said, wait_until

pytestmark = pytest.mark.timeout(240)
LONG = 'echo began; until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.1; done; echo went on\n'
WAIT_S = 90.0
EXEC_LINES = """Jobid=pt-xxxxxxxx
sco acp jobs exec --workspace-name=share-space \\
  --worker-name=$(sco acp jobs get-workers --workspace-name=share-space $Jobid | grep "worker-0" | awk -F'|' '{print $2}' | xargs) \\
  $Jobid
"""  # noqa: E501


@dataclass
class Site:
    """The shared storage of the document, and one person's shell before the cluster."""

    platform: Platform
    afs: Path

    @property
    def code(self) -> Path:
        return self.afs / "yzy/FuseOmni/ydj"

    @property
    def queues(self) -> Path:
        return self.afs / "yzy/gpu_queue"

    def typed(self, script: str, **env: str) -> Said:
        """What a person types, in the directory of the code."""
        return self.platform.run(["bash", "--norc", "-c", f"cd {shlex.quote(str(self.code))}\n{script}"], env)

    def ok(self, script: str, **env: str) -> Said:
        said = self.typed(script, **env)
        assert said.status == 0, said
        return said

    def client(self, script: str, job_id: str = "train-exp1") -> Said:
        return self.ok(f"export JOB_ID={job_id}\nsource {self.code}/client.sh\n{script}")

    def script(self, name: str, text: str) -> None:
        (self.code / name).write_text(text, encoding="utf-8")

    def logs(self, job_id: str = "train-exp1") -> str:
        return "".join(path.read_text() for path in sorted((self.queues / job_id / "logs").glob("*.log")))

    def wait_for_logs(self, text: str, count: int, job_id: str = "train-exp1") -> None:
        wait_until(lambda: self.logs(job_id).count(text) >= count, f"{count} times {text!r} in the logs", WAIT_S)

    def count(self, state: str, job_id: str = "train-exp1") -> int:
        directory = self.queues / job_id / state
        entries = directory.glob("*/*.try*" if state == "running" else "*") if directory.is_dir() else ()
        return sum(1 for path in entries if not path.name.startswith("."))

    def agents(self, job_id: str = "train-exp1") -> list[str]:
        """What the agents of the queue were told to be called."""
        nodes = (self.queues / job_id / "nodes").glob("*.json") if (self.queues / job_id / "nodes").is_dir() else ()
        return sorted(path.name.rpartition("-")[0] for path in nodes)


@pytest.fixture
def site(platform: Platform) -> Site:
    made = Site(platform, platform.base / "afs/00036")
    made.code.mkdir(parents=True)
    (platform.base / "home").mkdir()
    for name in ("submit.sh", "client.sh", "perpetual_motion.py"):
        shutil.copy(PROJECT / name, made.code)
    (made.code / "gpu_queue").symlink_to(PROJECT / "gpu_queue")
    conda = made.afs / "software/conda/bin"
    conda.mkdir(parents=True)
    (conda / "activate").write_text(
        f": $PS1_OF_CONDA\nexport CONDA_DEFAULT_ENV=$1 PATH={shlex.quote(str(conda))}:$PATH\n"
    )
    for name in ("python", "python3"):
        (conda / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (conda / name).chmod(0o755)
    # "编辑 submit.sh": the four lines of the document, and the two that were in the script itself.
    lines = (made.code / "submit.sh").read_text(encoding="utf-8").splitlines()
    for line in (
        f'CODE_DIR="{made.code}"   # 本项目路径',
        f'QUEUE_ROOT="{made.queues}"     # 队列根目录',
        f'CONDA_PATH="{conda}/activate"',
        'CONDA_ENV="swift"',
        'SCO_IMAGE="registry.example.com/torch:2.3"',
        'SCO_MOUNT="01995892-d478:/mnt/afs"',
    ):
        (at,) = (at for at, old in enumerate(lines) if old.startswith(f"{line.partition('=')[0]}="))
        lines[at] = line
    (made.code / "submit.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("SCO_IMAGE", "SCO_MOUNT", "GQ_JOB_ID", "GQ_GPUS"):
        del platform.env[name]
    platform.home.mkdir()
    (platform.home / "image-env").write_text("GPU_QUEUE_POLL=0.1s\nGPU_QUEUE_KEEPALIVE=off\nGPU_QUEUE_SWEEP=off\n")
    return made


def test_two_gpus_of_one_node_serve_the_queue_of_the_document(site: Site) -> None:
    said = site.ok("./submit.sh train-exp1           # 2 GPU, 1 节点, 队列: gpu_queue/train-exp1/")
    (job,) = site.platform.jobs()
    assert f"job {job['name']} submitted successfully" in said.out
    assert job["display_name"] == "ydj-train-exp1"
    (call,) = site.platform.calls("create")
    start = call[-1].removeprefix("--command=bash ")
    assert re.fullmatch(rf"{site.queues}/train-exp1/allocations/\d+T\d+-([0-9a-f]{{12}})/start-\1\.sh", start)
    assert call == [
        *("acp", "jobs", "create", "--workspace-name=share-space", "--aec2-name=share-cluster"),
        *("--job-name=ydj-train-exp1", "--container-image-url=registry.example.com/torch:2.3"),
        *("--training-framework=pytorch", "--worker-nodes=1", "--worker-spec=n6ls.iu.i40.2", "--priority=normal"),
        *("--storage-mount=01995892-d478:/mnt/afs", f"--command=bash {start}"),
    ]
    site.script("train.sh", 'echo "GPUs $CUDA_VISIBLE_DEVICES in $CONDA_DEFAULT_ENV"\n')
    site.client("gpu_submit train.sh --gpus 2\ngpu_wait")
    assert "GPUs 0,1 in swift" in site.logs()
    nonce = start[-15:-3]
    wait_until(lambda: site.agents() == [f"{os.uname().nodename}-{nonce[:6]}-0"], "the agent's page")
    (page,) = (site.queues / "train-exp1/nodes").glob("*.json")
    allocation = json.loads(page.read_text())["allocation"]
    assert allocation == f"sco:ydj-train-exp1/{nonce}"
    known = site.platform.way("states", allocation.removeprefix("sco:")).out
    assert known == f"ydj-train-exp1/{nonce}\trunning\tRUNNING\t{nonce}\tydj-train-exp1\n"
    told = (Path(start).parent / "worker-0.log").read_text()
    assert "[INFO] Started at: " in told
    listed = site.ok("./submit.sh --list train-exp1").out
    assert re.search(rf"^train-exp1 +sco +{job['name']} +running +RUNNING$", listed, re.MULTILINE)


def test_eight_gpus_on_two_nodes_run_two_tasks_and_a_stop_brings_them_back(site: Site) -> None:
    site.ok("./submit.sh train-exp3 8 2       # 8 GPU, 2 节点")
    (job,) = site.platform.jobs()
    assert job["display_name"] == "ydj-train-exp3"
    assert (job["roles"][0]["total_replicas"], job["roles"][0]["resource_spec"][0]["name"]) == (2, "n6ls.iu.i40.8")
    site.script("train.sh", f'echo "rank ${{RANK-none}} ${{SENSECORE_PYTORCH_NODE_RANK-none}}"\n{LONG}')
    site.client("gpu_submit train.sh --gpus 8\ngpu_submit train.sh --gpus 8", "train-exp3")
    site.wait_for_logs("began", 2, "train-exp3")
    assert {path.name.rpartition("-")[0][-2:] for path in (site.queues / "train-exp3/running").iterdir()} == {
        "-0",
        "-1",
    }
    assert (
        site.logs("train-exp3").count("rank none none\n") == 2
    )  # the platform's ranks are the agents', not a task's
    site.ok(f"sco acp jobs stop --workspace-name=share-space {job['name']}")
    site.platform.wait_for("SUSPENDED", WAIT_S)
    assert (site.count("pending", "train-exp3"), site.count("running", "train-exp3")) == (2, 0)
    assert site.count("failed", "train-exp3") == 0
    # Submitted again, it goes on with what was kept.
    (site.queues / "go").touch()
    site.ok("./submit.sh train-exp3 8 2")
    site.client("gpu_wait", "train-exp3")
    assert site.count("done", "train-exp3") == 2
    assert len(site.platform.calls("create")) == 2


def test_the_lines_of_the_document_about_jobs_do_what_it_says(site: Site) -> None:
    site.ok("./submit.sh train-exp1\n./submit.sh train-exp2 4", SCO_STAND_IN_USER="yzy")
    site.platform.submit("ydj-train-exp9", SCO_STAND_IN_USER="bob", SCO_IMAGE="x", SCO_MOUNT="none", GQ_GPUS="1")
    listed = site.ok("sco acp jobs list --workspace-name=share-space").out
    assert listed.count("ydj-train-exp") == 3
    line = "sco acp jobs list --workspace-name=share-space --page-size 500 | awk 'NR<=3 || /yzy/'"
    seen = site.ok(line).out.splitlines()
    assert "DISPLAY NAME" in seen[1]
    assert [row.split("|")[2].strip() for row in seen[3:]] == ["ydj-train-exp2", "ydj-train-exp1"]
    if shutil.which("watch"):
        assert "ydj-train-exp2" in on_a_terminal(site, f'watch -n 0.5 "{line}"', "ydj-train-exp1")
    (job,) = (job for job in site.platform.jobs() if job["display_name"] == "ydj-train-exp1")
    wait_until(lambda: "| Running" in site.platform.sco("get-workers", job["name"]).out, "a worker", WAIT_S)
    said = site.ok(
        EXEC_LINES.replace("pt-xxxxxxxx", job["name"]).replace(
            "  $Jobid\n", "  $Jobid <<<'echo on rank $RANK; exit'\n"
        )
    )
    assert said.out == "on rank 0\n"
    said = site.ok("./submit.sh --exec train-exp1 <<<'echo on rank $RANK; exit'")
    assert said.out == "on rank 0\n"
    site.script("train.sh", LONG)
    site.client("gpu_submit train.sh")
    site.wait_for_logs("began", 1)
    site.ok("sco acp jobs delete --workspace-name=share-space ydj-train-exp1")
    names = ["ydj-train-exp2", "ydj-train-exp9"]
    wait_until(lambda: sorted(one["display_name"] for one in site.platform.jobs()) == names, "the end", WAIT_S)
    assert (site.count("pending"), site.count("running"), site.count("failed")) == (1, 0, 0)
    # The same by its JOB_ID.
    site.ok("./submit.sh --delete train-exp2")
    wait_until(lambda: len(site.platform.jobs()) == 1, "the end of the other", WAIT_S)


def on_a_terminal(site: Site, line: str, until: str) -> str:
    """What a person sees who types this and ends it when that is seen."""
    ours, theirs = pty.openpty()
    calling = subprocess.Popen(
        ["bash", "--norc", "-c", line],
        env={**site.platform.env, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = ""
    deadline = time.monotonic() + 30
    while until not in seen and time.monotonic() < deadline:
        seen += os.read(ours, 65536).decode(errors="replace")
    os.killpg(calling.pid, signal.SIGTERM)
    calling.wait()
    os.close(ours)
    return seen


def test_gpu_stop_ends_every_other_python_in_the_container_and_nothing_outside(site: Site) -> None:
    space = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "true"]
    if os.geteuid() or subprocess.run(space, check=False, capture_output=True).returncode:
        pytest.skip("no pid namespace can be made here")
    (site.platform.home / "image-env").write_text("GPU_QUEUE_POLL=0.1s\nGPU_QUEUE_KEEPALIVE=off\n")
    pids = site.platform.base / "pids"
    sleeper = f"import os, time; print(os.getpid(), file=open({str(pids)!r}, 'a'), flush=True); time.sleep(600)"
    site.script("sleeper.py", sleeper)
    outside = subprocess.Popen([sys.executable, site.code / "sleeper.py"])
    try:
        site.ok("./submit.sh train-exp1", SCO_STAND_IN_CONTAINED="1")
        for name in ("one.sh", "two.sh"):
            site.script(name, f"#GPUQ --gpus 1\npython3 {site.code}/sleeper.py\n")
        site.client("gpu_submit one.sh\ngpu_submit two.sh")
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 3, "the tasks", WAIT_S)
        stray = f"{sys.executable} {site.code}/sleeper.py"
        site.ok(f"./submit.sh --exec train-exp1 <<<'setsid {stray} >/dev/null 2>&1 & sleep 1'")
        wait_until(lambda: len(pids.read_text().split()) == 4, "the stray", WAIT_S)
        assert "ended 1 other Python process of this user" in site.client("gpu_stop one.sh").out
        assert (site.count("running"), site.count("failed")) == (1, 1)
        assert outside.poll() is None
        (job,) = site.platform.jobs()
        site.ok(f"sco acp jobs stop --workspace-name=share-space {job['name']}")
        site.platform.wait_for("SUSPENDED", WAIT_S)
        assert (site.count("pending"), site.count("running"), site.count("failed")) == (1, 0, 1)
    finally:
        outside.kill()
        outside.wait()


def test_an_agent_whose_time_is_over_ends_its_job(site: Site) -> None:
    site.ok("./submit.sh train-exp1 1 -- --lifetime 5s")
    site.platform.wait_for("SUCCEEDED", WAIT_S)
    (job,) = site.platform.jobs()
    for _ in ("asked", "remembered"):
        listed = site.ok("./submit.sh --list train-exp1").out
        assert re.search(rf"^train-exp1 +sco +{job['name']} +ended +SUCCEEDED$", listed, re.MULTILINE)


def test_a_worker_that_is_killed_leaves_a_task_that_the_next_agent_takes_up(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    site.script("train.sh", LONG)
    site.client("gpu_submit train.sh")
    site.wait_for_logs("began", 1)
    (claim,) = (site.queues / "train-exp1/running").glob("*/*.try*")
    site.platform.power_off()
    (site.platform.home / "off").unlink()
    (job,) = site.platform.jobs()
    assert job["state"] == "FAILED"
    assert claim.exists()
    assert "FAILED" in site.ok("./submit.sh --list train-exp1").out
    said = site.ok("./submit.sh train-exp1")
    assert "submitted successfully" in said.out


@pytest.mark.parametrize("mode", ["slow", pytest.param("lost", marks=pytest.mark.long)])
def test_an_answer_that_did_not_come_is_asked_for_and_no_second_job_is_made(site: Site, mode: str) -> None:
    said = site.typed("./submit.sh train-exp1", SCO_STAND_IN_MODE=mode, SCO_WAY_LIMIT_S="5")
    if mode == "slow":
        assert said.status == 0, said
    else:
        assert said.status == 111, said
        assert "ydj-train-exp1 may have been submitted" in said.err
        assert site.platform.jobs() == []
        assert "may have been submitted: sco ydj-train-exp1, nonce " in site.ok("./submit.sh --list train-exp1").out
        # While the platform does not answer, nothing is submitted.
        said = site.typed("./submit.sh train-exp1", SCO_STAND_IN_MODE="hang", SCO_WAY_LIMIT_S="3")
        assert said.status == 111, said
        site.ok("./submit.sh train-exp1")
        assert len(site.platform.calls("create")) == 2
    (job,) = site.platform.jobs()
    assert job["display_name"] == "ydj-train-exp1"


def test_the_quota_is_told_in_the_platforms_words_and_nothing_is_left_running(site: Site) -> None:
    said = site.typed("./submit.sh train-exp1", SCO_STAND_IN_MODE="quota")
    assert said.status == 75
    assert '"reason":"MEMBER_QUOTA_EXCEEDED"' in said.err
    assert "sco: the quota is used up" in said.err
    assert site.platform.jobs() == []


def test_a_dry_run_prints_all_and_asks_nothing_of_the_cluster(site: Site) -> None:
    said = site.ok("./submit.sh train-exp3 8 2 --dry-run")
    assert "sco acp jobs create \\\n  --workspace-name=share-space \\\n" in said.out
    assert "export GPU_QUEUE_ALLOCATION=sco:ydj-train-exp3/000000000000\n" in said.out
    assert "--worker-spec=n6ls.iu.i40.8" in said.out
    assert not (site.platform.home / "calls").exists()
    nowhere = site.ok(
        "./submit.sh train-exp3 8 2 --way sco --dry-run", PATH=site.platform.env["PATH"].replace(f"{HERE}/bin:", "")
    )
    assert nowhere.out == said.out
