"""Where submit.sh gets its settings, and what it tells of them."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from gpu_queue.conf import SCRIPT_BYTES, SUBMIT_KEYS
from tests.conf_lines import BROKEN_OF_WAYS, OF_WAYS
from tests.shell_submit.machine import PROJECT, Machine


@pytest.fixture
def project(machine: Machine) -> Path:
    """A copy of the scripts beside the stand-in, in a directory with a blank and Chinese characters."""
    code = machine.root / "代 码"
    code.mkdir()
    for name in ("submit.sh", "client.sh"):
        shutil.copy(PROJECT / name, code)
    shutil.copytree(PROJECT / "gpu_queue" / "ways", code / "gpu_queue" / "ways")
    shutil.copy(Path(machine.env.pop("CODE_DIR")) / "perpetual_motion.py", code)
    machine.script = code / "submit.sh"
    return code


def edit(project: Path, **lines: str) -> None:
    text = (project / "submit.sh").read_text(encoding="utf-8").splitlines()
    for key, line in lines.items():
        (at,) = (at for at, old in enumerate(text) if old.startswith(f"{key}="))
        text[at] = line
    (project / "submit.sh").write_text("\n".join(text) + "\n", encoding="utf-8")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def queue_root(machine: Machine, **env: str) -> str:
    words = shlex.split(machine.dry_run("exp1", **env), comments=True)
    return words[words.index("--queue-root") + 1]


def test_lines_that_are_replaced_by_literals_are_obeyed_and_nothing_more_need_be_typed(
    machine: Machine, project: Path
) -> None:
    edit(
        project,
        QUEUE_ROOT=f'QUEUE_ROOT="{machine.root}/all queues"     # 队列根目录',
        CODE_DIR=f'CODE_DIR="{project}"   # 本项目路径',
    )
    done = machine.submit("exp1", LC_ALL="C.UTF-8")
    assert machine.agent["flags"][2:4] == ["--queue-root", f"{machine.root}/all queues"]
    quoted = str(project).replace(" ", "\\ ")
    assert done.stdout.splitlines()[-1] == f"To use it: export JOB_ID=exp1; source {quoted}/client.sh; gpu_help"
    assert done.stderr == ""


def test_what_only_a_shell_can_work_out_is_told_as_something_to_type(machine: Machine, project: Path) -> None:
    edit(project, QUEUE_ROOT=f'QUEUE_ROOT="{machine.root}/$USER queues"')
    done = machine.submit("exp1", USER="alice")
    assert machine.agent["flags"][2:4] == ["--queue-root", f"{machine.root}/alice queues"]
    assert f"To use it: export QUEUE_ROOT={machine.root}/alice\\ queues JOB_ID=exp1; " in done.stdout


def test_the_strongest_place_counts(machine: Machine, project: Path) -> None:
    home = Path(machine.env["HOME"])
    assert queue_root(machine) == f"{home}/gpu_queue"
    write(home / ".config/gpu-queue/gpu-queue.conf", "QUEUE_ROOT=~/own\n")
    assert queue_root(machine) == f"{home}/own"
    edit(project, QUEUE_ROOT="QUEUE_ROOT=~/edited")
    assert queue_root(machine) == f"{home}/edited"
    edit(project, QUEUE_ROOT='QUEUE_ROOT="~/edited"')
    assert queue_root(machine) == f"{home}/edited"
    write(project / "gpu-queue.conf", "QUEUE_ROOT=/beside\n")
    assert queue_root(machine) == "/beside"
    assert queue_root(machine, QUEUE_ROOT="/said") == "/said"


def test_an_environment_that_beats_what_was_written_is_told(machine: Machine, project: Path) -> None:
    edit(project, QUEUE_ROOT='QUEUE_ROOT="/edited"')
    told = machine.submit("exp1", "--dry-run", QUEUE_ROOT="/said").stderr
    assert told == f"QUEUE_ROOT is /said, as the environment says; {project}/submit.sh says /edited\n"
    write(project / "gpu-queue.conf", "# mine\nQUEUE_ROOT=/beside\n")
    told = machine.submit("exp1", "--dry-run", QUEUE_ROOT="/said").stderr
    assert told == f"QUEUE_ROOT is /said, as the environment says; {project}/gpu-queue.conf:2 says /beside\n"
    assert machine.submit("exp1", "--dry-run", QUEUE_ROOT="/beside").stderr == ""


def test_all_settings_may_stand_in_the_file(machine: Machine, project: Path) -> None:
    activate = machine.root / "activate"
    activate.write_text("export STAND_IN_CONDA=$1\n")
    write(
        project / "gpu-queue.conf",
        f"CONDA_PATH='{activate}'\nCONDA_ENV=swift # ours\nPYTHON={machine.env.pop('PYTHON')}\n"
        "SUBMIT_WAIT_S=20\r\nGPU_QUEUE_SIMULATE=4\nSUBMIT_WAY=local\n",
    )
    assert machine.submit("exp1").returncode == 0
    assert machine.agent["conda_env"] == "swift"
    assert machine.agent["flags"][4:6] == ["--gpus-unless-shared", "all"]
    machine.env["SUBMIT_WAY"] = ""
    write(project / "gpu-queue.conf", "SUBMIT_WAY=moon\n")
    assert "--way 'moon'" in machine.submit("exp1").stderr
    assert machine.submit("exp1", "--way", "local", "--dry-run").returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("QUEUE_ROOT=/theirs\n", 0o666, "gpu-queue.conf: mode 666 lets others write it"),
        ("QUEUE_ROOT=$(touch pwned)\n", 0o644, "gpu-queue.conf:1: QUEUE_ROOT: it is not run"),
        ("SUBMIT_WAIT_S=a[0]\n", 0o644, "SUBMIT_WAIT_S 'a[0]': expected seconds"),
    ],
)
def test_a_file_that_cannot_be_obeyed_is_refused(
    machine: Machine, project: Path, text: str, mode: int, problem: str
) -> None:
    write(project / "gpu-queue.conf", text)
    (project / "gpu-queue.conf").chmod(mode)
    refused = machine.refusal("exp1")
    assert refused.startswith("submit.sh: ")
    assert problem in refused


def test_the_agent_gets_what_lies_beside_a_submit_sh_that_lies_elsewhere(machine: Machine, project: Path) -> None:
    elsewhere = machine.root / "mine"
    elsewhere.mkdir()
    shutil.move(project / "submit.sh", elsewhere)
    machine.script = elsewhere / "submit.sh"
    write(elsewhere / "gpu-queue.conf", "GPU_UTIL_TARGET=60\nLD_PRELOAD=/theirs.so\n")
    assert machine.submit("exp1", CODE_DIR=str(project)).returncode == 0
    assert machine.agent["settings"] == {"GPU_UTIL_TARGET": "60"}


def test_every_setting_of_submit_sh_is_known_to_all_readers_and_told_in_both_languages() -> None:
    head = (PROJECT / "submit.sh").read_text(encoding="utf-8")[:SCRIPT_BYTES].partition("() {")[0]
    keys = re.search(r"^KEYS=\(([^)]*)\)", head, re.MULTILINE)
    assert keys is not None
    assert sorted(keys[1].split()) == sorted(SUBMIT_KEYS)
    assert sorted(re.findall(r'^([A-Z0-9_]+)=""', head, re.MULTILINE)) == sorted(SUBMIT_KEYS)
    for page in ("docs/settings.md", "docs/zh-CN/settings.md"):
        told = re.findall(r"`([A-Z0-9_]+)`", (PROJECT / page).read_text(encoding="utf-8"))
        assert set(SUBMIT_KEYS) <= set(told), page


def test_settings_of_ways_are_read_from_the_file_as_python_reads_them(machine: Machine, project: Path) -> None:
    machine.own_way("shows", "case $1 in render) env | sort ;; shape) echo one ;; esac")
    for line, value in OF_WAYS:
        write(project / "gpu-queue.conf", f"{line}\n")
        shown = machine.submit("exp1", "--way", "shows", "--dry-run")
        key = line.partition("=")[0]
        assert f"\n{key}={value}\n" in shown.stdout, shown
    for line, why in BROKEN_OF_WAYS:
        write(project / "gpu-queue.conf", f"{line}\n")
        assert why in machine.refusal("exp1", "--way", "shows", "--dry-run")


def test_a_setting_of_a_way_may_stand_in_submit_sh_with_the_number_of_gpus(machine: Machine, project: Path) -> None:
    machine.own_way("shows", "case $1 in render) env | sort ;; shape) echo one ;; esac")
    edit(project, SCO_SPEC='SCO_SPEC="n6ls.iu.i40.$GPUS"', SLURM_WAY_GRES="SLURM_WAY_GRES='gpu:${GPUS}'")
    shown = machine.submit("exp1", "--way", "shows", "--dry-run").stdout
    assert "\nSCO_SPEC=n6ls.iu.i40.$GPUS\n" in shown
    assert "\nSLURM_WAY_GRES=gpu:${GPUS}\n" in shown
