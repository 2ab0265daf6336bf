"""The document that this project began with, line by line: what it promises is typed as it stands there, and holds.

Its paths below /mnt/afs are a directory of the test; ``conda`` and ``swift`` are stand-ins; GPUs are simulated.  Not
here: ``sco``, and agents on several nodes by one call, which are a cluster's (``tests/sco/test_document_004.py``).
``gpu_stop`` ends all that a task has started; strangers' Python only where an agent was told so (``--sweep``).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gpu_queue.execution.processes import read_process
from tests.keepalive.nursery import needs_torch
from tests.shell.helpers import Said, kind, shells, wait_until

PROJECT = Path(__file__).resolve().parents[2]
TRAIN = """#!/bin/bash
set -e

# 激活环境
source {afs}/software/conda/bin/activate swift

# 切换到代码目录
cd {afs}/yzy/FuseOmni/ms-swift

# 运行训练
CUDA_VISIBLE_DEVICES=0,1 swift sft \\
    --model {afs}/yzy/models/Qwen2.5-7B-Instruct \\
    --dataset AI-ModelScope/alpaca-gpt4-data-zh \\
    --output_dir {afs}/yzy/checkpoints/test
"""
LONG = 'echo began; until [ -e "$QUEUE_ROOT/go" ]; do sleep 0.05; done\n'


@dataclass
class Site:
    """The shared storage of the document, and one person's shell."""

    base: Path
    program: str

    @property
    def afs(self) -> Path:
        return self.base / "afs/00036"

    @property
    def code(self) -> Path:
        return self.afs / "yzy/FuseOmni/ydj"

    @property
    def queues(self) -> Path:
        return self.afs / "yzy/gpu_queue"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            "HOME": str(self.base / "home"),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "SUBMIT_WAY": "local",
            "GPU_QUEUE_SIMULATE": "4",
            "GPU_QUEUE_LOCAL_DIR": str(self.base / "local"),
            "GPU_QUEUE_POLL": "0.1s",
            "GPU_QUEUE_STOP_GRACE": "2s",
            "GPU_QUEUE_KEEPALIVE": "off",
        }
        return {name: value for name, value in {**kept, **more}.items() if value}

    def run(self, script: str, **environment: str) -> Said:
        """What a person types, in the directory of the code."""
        file = self.base / "typed"
        file.write_text(script, encoding="utf-8")
        quiet = "-f" if kind(self.program) == "zsh" else "--norc"
        done = subprocess.run(
            [self.program, quiet, str(file)],
            cwd=self.code,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def ok(self, script: str, **environment: str) -> Said:
        said = self.run(script, **environment)
        assert said.status == 0, said
        return said

    def client(self, script: str, job_id: str = "train-exp1") -> Said:
        return self.ok(f"export JOB_ID={job_id}\nsource {self.code}/client.sh\n{script}")

    def names(self, state: str, job_id: str = "train-exp1") -> list[str]:
        return sorted(os.listdir(self.queues / job_id / state)) if (self.queues / job_id / state).is_dir() else []

    def wait_for(self, state: str, title: str, job_id: str = "train-exp1") -> None:
        wait_until(lambda: any(title in name for name in self.names(state, job_id)), 20.0)

    def wait_for_log(self, title: str, text: str) -> None:
        logs = self.queues / "train-exp1/logs"
        wait_until(lambda: any(text in log.read_text() for log in logs.glob(f"*{title}*.log")), 20.0)

    def agents(self) -> list[int]:
        program = os.fsencode(f"{self.code}/perpetual_motion.py")
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and program in Path(f"/proc/{name}/cmdline").read_bytes():
                    found.append(int(name))
        # What an agent has just forked has its arguments still.
        return [pid for pid in found if not ((one := read_process(pid)) and one.parent in found)]

    def script(self, name: str, text: str) -> Path:
        path = self.code / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture(params=shells()[:1])  # the document is typed into bash; other tests see to zsh
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, str(request.param))
    made.code.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (made.afs / "yzy/FuseOmni/ms-swift").mkdir()
    for name in ("submit.sh", "client.sh", "perpetual_motion.py"):
        shutil.copy(PROJECT / name, made.code)
    (made.code / "gpu_queue").symlink_to(PROJECT / "gpu_queue")
    conda = made.afs / "software/conda/bin"
    conda.mkdir(parents=True)
    (conda / "activate").write_text(f"export CONDA_DEFAULT_ENV=$1 PATH={shlex.quote(str(conda))}:$PATH\n")
    for name, line in (
        ("python", f'exec {shlex.quote(sys.executable)} "$@"'),
        ("python3", f'exec {shlex.quote(sys.executable)} "$@"'),
        ("swift", 'echo "swift $* in $PWD of $CONDA_DEFAULT_ENV on GPUs $CUDA_VISIBLE_DEVICES"'),
    ):
        (conda / name).write_text(f"#!/bin/sh\n{line}\n")
        (conda / name).chmod(0o755)
    # "编辑 submit.sh" (the four lines of its first step)
    edit(
        made.code / "submit.sh",
        f'CODE_DIR="{made.code}"   # 本项目路径',
        f'QUEUE_ROOT="{made.queues}"     # 队列根目录',
        f'CONDA_PATH="{conda}/activate"',
        'CONDA_ENV="swift"',
    )
    yield made
    told: set[int] = set()

    def have_left() -> bool:
        for pid in made.agents():  # also one that was just being started
            if pid not in told:
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)  # its tasks go back and end with it
        return not made.agents()

    wait_until(have_left, 40.0)


def edit(path: Path, *lines: str) -> None:
    """Put each line in the place of the one that sets the same."""
    text = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        key = re.split(r"[ =]", line)[0]
        (at,) = (at for at, old in enumerate(text) if re.match(rf"{key} ?=", old))
        text[at] = line
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def test_an_instance_is_started_and_says_when_it_ends(site: Site) -> None:
    said = site.ok("./submit.sh train-exp1           # 2 GPU, 1 节点, 队列: gpu_queue/train-exp1/")
    started = re.search(r"^\[INFO\] Started at: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$", said.out, re.MULTILINE)
    ends = re.search(r"^\[INFO\] Auto-shutdown at: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \(24h\)$", said.out, re.MULTILINE)
    assert started is not None, said
    assert ends is not None, said
    moments = [datetime.strptime(one[1], "%Y-%m-%d %H:%M:%S") for one in (started, ends)]
    assert moments[1] - moments[0] == timedelta(hours=24)
    assert site.agents()
    site.client("gpu_stop all")
    for name in ("pending", "running", "done", "failed", "logs", "control.json"):
        assert (site.queues / "train-exp1" / name).exists()


def test_as_many_gpus_are_served_as_the_call_says_and_several_nodes_are_left_to_a_cluster(site: Site) -> None:
    words = "./submit.sh train-exp1 --dry-run\n./submit.sh train-exp2 4 --dry-run"
    lines = site.ok(words, GPU_QUEUE_SIMULATE="").lines
    assert [line for line in lines if line.startswith("gpus=")][1::2] == ["gpus=0,1", "gpus=0,1,2,3"]
    refused = site.run("./submit.sh train-exp3 8 2         # 8 GPU, 2 节点")
    assert (refused.status, refused.out) == (100, "")
    assert "NODES 2: the local way starts one agent, on this machine" in refused.err
    assert not site.agents()


def test_the_client_is_loaded_and_shows_its_help_and_its_instances(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    assert re.search(r"^ *gpu_submit ", site.client("gpu_help").out, re.MULTILINE)
    assert site.client("gpu_use").lines == ["train-exp1"]
    assert site.client("gpu_use train-exp2\ngpu_use").lines == ["train-exp2"]
    site.script("train.sh", "true\n")
    assert "no agent serves train-exp2" in site.client("gpu_use train-exp2; gpu_submit train.sh").err
    rows = [line.split() for line in site.client("gpu_list").lines[1:]]
    assert rows == [["*", "train-exp1", "0", "0", "1"], ["train-exp2", "1", "0", "0"]]


def test_right_after_the_start_the_agent_is_found_by_every_command(site: Site) -> None:
    site.script("train.sh", "true\n")
    use = f"export JOB_ID=train-exp1; source {site.code}/client.sh"
    said = site.ok(f"./submit.sh train-exp1\n{use}\ngpu_status\ngpu_submit train.sh\ngpu_shutdown")
    assert "no agent" not in said.out + said.err
    assert re.search(r": shuts down; ", said.out)
    wait_until(lambda: not site.agents(), 20.0)


def test_scripts_and_command_lines_are_submitted_and_run(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    script = site.script("train.sh", TRAIN.format(afs=site.afs))
    site.script("train.py", "import sys; print('trained with', sys.argv[1:])\n")
    site.client(f"gpu_submit {script}\ngpu_run 'python train.py --epochs 10'\ngpu_wait")
    said = site.client("gpu_logs train.sh").out
    assert f"swift sft --model {site.afs}/yzy/models/Qwen2.5-7B-Instruct --dataset " in said
    assert f"in {site.afs}/yzy/FuseOmni/ms-swift of swift on GPUs 0,1" in said
    assert "trained with ['--epochs', '10']" in site.client("gpu_logs python").out


def test_the_smaller_number_runs_first_and_what_waits_is_kept_until_an_agent_comes(site: Site) -> None:
    for name in ("late.sh", "train.sh"):
        site.script(name, f"CUDA_VISIBLE_DEVICES=0,1\necho {name} >>$QUEUE_ROOT/order\n")
    site.client("gpu_submit late.sh\ngpu_submit train.sh 001")
    assert [name[:3] for name in site.names("pending")] == ["001", "500"]
    site.ok("./submit.sh train-exp1")
    site.client("gpu_wait")
    assert (site.queues / "order").read_text().split() == ["train.sh", "late.sh"]


def test_status_and_logs_are_looked_at_and_followed(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    site.script("train.sh", LONG)
    site.client("gpu_submit train.sh")
    site.wait_for_log("train.sh", "began")
    assert "train.sh" in site.client("gpu_status").out
    assert "train.sh.log" in site.client("gpu_logs").out
    assert "began" in site.client("gpu_logs train").out
    one, two = site.base / "one", site.base / "two"
    script = f"export JOB_ID=train-exp1; source {site.code}/client.sh\ngpu_tail >{one} & gpu_tail train >{two} &\n"
    end = f"until grep -q began {one} && grep -q began {two}; do sleep 0.05; done; touch $ROOT/go; wait\n"
    site.ok(script + end, ROOT=str(site.queues))
    assert all("==== exit 0" in path.read_text() for path in (one, two))


def test_one_task_is_stopped_with_all_its_python_and_then_everything(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    (agent,) = site.agents()
    sleeper = "import os, time; open(os.environ['QUEUE_ROOT'] + '/pid', 'w').write(str(os.getpid())); time.sleep(600)"
    site.script("train.sh", f'setsid python3 -c "{sleeper}" &\n{LONG}')
    site.script("other.sh", f"CUDA_VISIBLE_DEVICES=2\n{LONG}")
    site.script("waits.sh", f"CUDA_VISIBLE_DEVICES=2\n{LONG}")
    site.client("gpu_submit train.sh\ngpu_submit other.sh\ngpu_submit waits.sh")
    wait_until(lambda: (site.queues / "pid").exists() and (site.queues / "pid").read_text(), 20.0)
    site.wait_for_log("other.sh", "began")
    assert "stopped train.sh" in site.client("gpu_stop train.sh").out
    is_gone = gone(int((site.queues / "pid").read_text()))
    wait_until(is_gone, 10.0)
    site.client("gpu_stop all")
    site.wait_for("failed", "other.sh")
    site.wait_for("failed", "waits.sh")
    assert site.names("pending") == []
    assert site.agents() == [agent]


def has_claim(running: Path) -> bool:
    return any(running.glob("*/*.try*"))


def gone(pid: int) -> Callable[[], bool]:
    def is_gone() -> bool:
        process = read_process(pid)
        return process is None or process.state == "Z"

    return is_gone


def test_why_a_task_failed_is_seen_in_failed_and_in_its_log(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    site.script("train.sh", "echo cannot open the checkpoint >&2\nexit 3\n")
    site.client("gpu_submit train.sh\ngpu_wait || :")
    assert site.ok(f"ls {site.queues}/train-exp1/failed/").out.endswith("-train.sh\n")
    assert "cannot open the checkpoint" in site.client("gpu_logs train.sh").out


def test_instances_do_not_meet(site: Site) -> None:
    site.ok("./submit.sh test-small 2\n./submit.sh train-large 4")
    site.script("test_script.sh", LONG)
    site.script("train_script.sh", LONG)
    site.client(
        "gpu_submit test_script.sh\n\ngpu_use train-large  # 切换到另一个实例\ngpu_submit train_script.sh",
        "test-small",
    )
    for job_id, title in (("test-small", "test_script.sh"), ("train-large", "train_script.sh")):
        running = site.queues / job_id / "running"
        wait_until(partial(has_claim, running), 20.0)
        (claim,) = running.glob("*/*.try*")
        assert title in claim.name


def test_an_agent_that_died_is_started_again_and_its_tasks_are_kept(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    site.script("train.sh", "CUDA_VISIBLE_DEVICES=0,1\n" + LONG)
    site.client("gpu_submit train.sh")
    site.wait_for_log("train.sh", "began")
    site.client("gpu_submit train.sh")
    (agent,) = site.agents()
    os.kill(agent, signal.SIGKILL)
    wait_until(gone(agent), 10.0)
    assert "ended" not in site.ok("./submit.sh train-exp1").out
    (site.queues / "go").touch()
    site.client("gpu_wait")
    assert len(site.names("done")) == 2


@pytest.mark.parametrize(
    ("line", "told"), [("AUTO_SHUTDOWN_HOURS = 48", "(48h)"), ("AUTO_SHUTDOWN_HOURS = 0.5", "(30m)")]
)
def test_the_time_of_the_end_is_edited_in_the_program(site: Site, line: str, told: str) -> None:
    edit(site.code / "perpetual_motion.py", line)
    said = site.ok("./submit.sh train-exp1")
    assert re.search(rf"^\[INFO\] Auto-shutdown at: .* {re.escape(told)}$", said.out, re.MULTILINE)


def test_it_ends_by_itself_when_its_time_is_over(site: Site) -> None:
    edit(site.code / "perpetual_motion.py", "AUTO_SHUTDOWN_HOURS = 0.0005")
    began = time.monotonic()
    site.ok("./submit.sh train-exp1")
    wait_until(lambda: not site.agents(), 20.0)
    assert time.monotonic() - began > 1.8


@needs_torch
def test_the_band_and_the_memory_are_those_of_the_document_and_edited_in_the_program(site: Site) -> None:
    said = site.ok("./submit.sh train-exp1", GPU_QUEUE_KEEPALIVE="")
    assert "[INFO] Keep-alive: idle GPUs at 70-85 % by cpu, 60 % of the memory" in said.lines
    edit(
        site.code / "perpetual_motion.py",
        "GPU_UTIL_THRESHOLD = 30  # 低于此值开始保活",
        "GPU_UTIL_TARGET = 40     # 目标利用率",
        "GPU_UTIL_HIGH = 60       # 高于此值减速",
        "MEMORY_USAGE_TARGET = 0.25  # 显存使用比例",
    )
    said = site.ok("./submit.sh train-exp2", GPU_QUEUE_KEEPALIVE="")
    assert "[INFO] Keep-alive: idle GPUs at 40-60 % by cpu, 25 % of the memory" in said.lines
    edit(site.code / "perpetual_motion.py", "GPU_UTIL_HIGH = 600")
    refused = site.run("./submit.sh train-exp3")
    assert refused.status == 1
    assert f"{site.code}/perpetual_motion.py: GPU_UTIL_HIGH: '600'; expected a percentage, 0 to 100" in refused.err


def test_shell_python_and_agent_meet_in_the_spool_that_submit_sh_names(site: Site) -> None:
    site.ok("./submit.sh train-exp1")
    code = "from gpu_queue import Spool; s = Spool(); print(s.path, s.submit('train.sh', name='by_python').title)"
    site.script("train.sh", "true\n")
    said = site.client(
        f"gpu_submit train.sh --name by_shell\n{shlex.quote(sys.executable)} -c {shlex.quote(code)}\ngpu_wait"
    )
    assert f"{site.queues}/train-exp1 by_python" in said.lines
    assert {name[30:] for name in site.names("done")} == {"by_python", "by_shell"}
    assert not (site.base / "home/gpu_queue").exists()
