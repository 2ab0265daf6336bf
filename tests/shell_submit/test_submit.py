"""submit.sh, with a stand-in for the agent."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell_submit.machine import Machine


def test_an_agent_is_started_that_survives_the_terminal(machine: Machine) -> None:
    done = machine.submit("exp1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:5] == [
        "[INFO] Started at: 2026-11-23 16:00:00",
        "[INFO] Auto-shutdown at: 2026-11-24 16:00:00 (24h)",
        "[INFO] Serving /queues/exp1 (ext4, local, mounted at /)",
        "[INFO] Node n1-00000001, GPUs 0, 1 of 2 GPUs (simulated 80G)",
        "[INFO] Keep-alive: idle GPUs at 70-85 % by cpu, 60 % of the memory",
    ]
    assert "what it does then" not in done.stdout
    assert f"process {machine.agent['pid']}" in done.stdout
    assert str(machine.log) in done.stdout
    assert machine.agent["leads_its_session"]
    assert machine.agent["stdin"] == "/dev/null"
    os.kill(machine.agent["pid"], 0)
    assert machine.log.stat().st_mode & 0o077 == 0


def test_by_default_it_gets_the_first_two_gpus_and_the_queues_of_the_home_directory(machine: Machine) -> None:
    machine.submit("exp1")
    assert machine.agent["flags"] == [
        *("--job-id", "exp1", "--queue-root", f"{machine.root}/home/gpu_queue"),
        *("--gpus-unless-shared", "0,1"),
        *(("--allow-root-for", str(os.getuid())) if os.getuid() else ()),
    ]


def test_an_agent_that_runs_as_root_may_serve_whoever_called_for_it(machine: Machine) -> None:
    machine.submit("exp1", SUDO_UID="12345")
    assert machine.agent["flags"][-2:] == ["--allow-root-for", "12345"]


@pytest.mark.parametrize(
    ("words", "env", "gpus"),
    [
        (["4"], {}, "0,1,2,3"),
        (["1", "1"], {}, "0"),
        (["all"], {}, "all"),
        ([], {"GPU_QUEUE_SIMULATE": "4"}, "all"),
        (["1"], {"GPU_QUEUE_SIMULATE": "4"}, "0"),
    ],
)
def test_as_many_gpus_as_asked_are_passed_on(
    machine: Machine, words: list[str], env: dict[str, str], gpus: str
) -> None:
    assert f"\ngpus={gpus}\nunset" in machine.dry_run("exp1", *words, **env)


def test_a_grant_of_the_scheduler_is_not_exceeded(machine: Machine) -> None:
    assert "\ngpus=4,GPU-5\nunset" in machine.dry_run("exp1", CUDA_VISIBLE_DEVICES="4,GPU-5,6")
    assert "\ngpus=all\nunset" in machine.dry_run("exp1", "all", CUDA_VISIBLE_DEVICES="4,5")
    assert "\ngpus=0,1\nunset" in machine.dry_run("exp1", "2", CUDA_VISIBLE_DEVICES="7", GPU_QUEUE_SIMULATE="4")
    assert "CUDA_VISIBLE_DEVICES=4 grants only 1" in machine.refusal("exp1", "2", CUDA_VISIBLE_DEVICES="4")


def test_flags_after_two_dashes_go_to_the_agent_and_come_last(machine: Machine) -> None:
    machine.submit("exp1", "2", "--", "--gpus", "2,3", "--node-name", "a b")
    assert machine.agent["flags"][-4:] == ["--gpus", "2,3", "--node-name", "a b"]


def test_settings_come_from_the_environment(machine: Machine) -> None:
    machine.submit("exp1", QUEUE_ROOT=f"{machine.root}/all queues")
    assert machine.agent["flags"][2:4] == ["--queue-root", f"{machine.root}/all queues"]


def test_python_is_the_one_beside_the_code_if_there_is_one(machine: Machine) -> None:
    assert "\nexec python3 -u " in machine.dry_run("exp1", PYTHON="")
    own = Path(machine.env["CODE_DIR"], ".venv", "bin", "python")
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert "the\\ code/.venv/bin/python -u " in machine.dry_run("exp1", PYTHON="")


def test_conda_is_activated_before_the_agent_starts(machine: Machine) -> None:
    activate = machine.root / "activate"
    activate.write_text('echo "$THIS_IS_NOT_SET"; export STAND_IN_CONDA=$1\n')
    env = {"CONDA_PATH": str(activate), "CONDA_ENV": "swift"}
    assert machine.submit("exp1", **env).returncode == 0
    assert machine.agent["conda_env"] == "swift"


def test_a_dry_run_prints_what_would_run_ready_for_a_shell(machine: Machine) -> None:
    activate = machine.root / "activate"
    activate.touch()
    shown = machine.dry_run("exp1", CONDA_PATH=str(activate), CONDA_ENV="swift", PYTHON="")
    script, request, run = shown.split("# ---- ")[1:]
    assert f"\nsource {activate} swift || exit\ncd {machine.root}/the\\ code || exit\nexec python3 -u " in script
    start = script.splitlines()[0]
    assert request.splitlines()[1:] == [f"setsid bash {start} </dev/null >>{machine.log} 2>&1 &"]
    assert run.splitlines()[1].endswith(f"gpu_queue/ways/local submit {os.path.dirname(start)}/request")
    assert not machine.log.exists()
    assert not (machine.root / "home" / "gpu_queue").exists()


def test_an_agent_that_ends_at_once_is_told_with_its_last_words(machine: Machine) -> None:
    done = machine.submit("exp1", STAND_IN="taken")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ended with status 1" in done.stderr
    assert "  an agent already serves exp1 on this machine" in done.stderr


@pytest.mark.parametrize("stand_in", ["leaves", "serves"])
def test_a_draining_queue_is_told_with_how_to_go_on(machine: Machine, stand_in: str) -> None:
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.mkdir(parents=True)
    (spool / "draining").touch()
    done = machine.submit("exp1", STAND_IN=stand_in)
    told = "the queue is draining; gpu_resume, then submit again"
    if stand_in == "leaves":
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{told}\n")
    else:  # tasks of an earlier agent still run
        assert (done.returncode, told in done.stdout.splitlines()) == (0, True)


def test_the_log_of_an_agent_that_runs_is_kept_when_a_second_is_refused(machine: Machine) -> None:
    machine.log.parent.mkdir(parents=True)
    machine.log.write_text("[INFO] Auto-shutdown at: yesterday\n")
    done = machine.submit("exp1", STAND_IN="taken")
    assert done.returncode == 1
    assert "yesterday" not in done.stdout + done.stderr
    assert machine.log.read_text().startswith("[INFO] Auto-shutdown at: yesterday\n")


def test_an_agent_that_is_still_starting_is_left_alone_and_told(machine: Machine) -> None:
    done = machine.submit("exp1", STAND_IN="slow", SUBMIT_WAIT_S="1")
    assert done.returncode == 111
    assert f"still starting after 1 s. Watch: tail -f {machine.log}" in done.stderr
    os.kill(machine.agent["pid"], 0)


def test_a_python_that_does_not_exist_is_told(machine: Machine) -> None:
    done = machine.submit("exp1", PYTHON="/nowhere/python")
    assert done.returncode == 1
    assert "/nowhere/python" in done.stderr


def test_an_agent_that_found_no_gpus_is_told_with_how_to_simulate_them(machine: Machine) -> None:
    assert "GPU_QUEUE_SIMULATE=4 ./submit.sh exp1" in machine.submit("exp1", STAND_IN="no driver").stderr
    assert "GPU_QUEUE_SIMULATE=4" not in machine.submit("exp1", STAND_IN="taken").stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "expected: JOB_ID [GPUS] [NODES]"),
        (["exp1", "2", "1", "more"], "expected: JOB_ID [GPUS] [NODES]"),
        (["a/b"], "JOB_ID 'a/b': expected a name without /"),
        ([".."], "JOB_ID '..'"),
        (["exp1", "0"], "GPUS '0': expected a number or all"),
        (["exp1", "2,3"], "-- --gpus 2,3"),
        (["exp1", "2", "x"], "NODES 'x'"),
        (["exp1", "8", "2"], "NODES 2: the local way starts one agent"),
        (["exp1", "--way", "moon"], "--way 'moon': expected one of: "),
        (["exp1", "--way", "../local"], "--way '../local': expected one of: "),
        (["exp1", "--way"], "--way: expected a value after it"),
        (["exp1", "--time", "soon"], "--time 'soon': expected for example 90m, 24h, 2d or never"),
        (["exp1", "--time"], "--time: expected a value after it"),
        (["exp\x1b1"], "JOB_ID holds control characters"),
        (["--list", "exp1", "2"], "expected: --list [JOB_ID]"),
        (["--delete"], "expected: --delete JOB_ID"),
        (["--exec"], "expected: --exec JOB_ID [ID]"),
        (
            ["exp1", "--lifetime", "1h"],
            "--lifetime is no option of submit.sh; flags for perpetual_motion.py come after --",
        ),
    ],
)
def test_what_cannot_be_obeyed_is_refused_with_what_was_expected(
    machine: Machine, words: list[str], problem: str
) -> None:
    assert problem in machine.refusal(*words)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"CODE_DIR": "/nowhere"}, "CODE_DIR '/nowhere' holds no perpetual_motion.py"),
        ({"CONDA_PATH": "/nowhere"}, "CONDA_PATH '/nowhere' cannot be read"),
        ({"CONDA_ENV": "swift"}, "CONDA_PATH is not set"),
        ({"SUBMIT_WAY": "moon"}, "--way 'moon'"),
        ({"XDG_STATE_HOME": "/proc"}, "cannot be written"),
    ],
)
def test_settings_that_cannot_be_obeyed_are_refused(machine: Machine, env: dict[str, str], problem: str) -> None:
    assert problem in machine.refusal("exp1", **env)


def test_who_has_neither_a_name_nor_home_in_his_environment_reads_no_error_of_a_program(machine: Machine) -> None:
    programs = machine.root / "programs"
    programs.mkdir()
    (programs / "id").write_text("#!/bin/sh\necho 'id: cannot find name for user ID 1234' >&2\necho 1234\nexit 1\n")
    (programs / "id").chmod(0o755)
    env = {**machine.env, "SUBMIT_PREFIX": "", "PATH": f"{programs}:{machine.env['PATH']}"}
    del env["HOME"]
    done = subprocess.run(
        ["bash", machine.script, "exp1", "--way", "slurm", "--dry-run"],
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "#SBATCH --job-name=1234-exp1\n" in done.stdout
    assert f"# ---- {pwd.getpwuid(os.getuid()).pw_dir}/gpu_queue/exp1/allocations/" in done.stdout


def test_help_is_the_head_of_the_file(machine: Machine) -> None:
    done = machine.submit("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Start agents that serve the queue of a JOB_ID")
    assert "Settings" not in done.stdout


def test_the_last_words_of_an_agent_before_it_are_not_taken_for_its_own(machine: Machine) -> None:
    done = machine.submit("exp1", STAND_IN="follows")
    assert done.returncode == 0, done.stderr
    assert "ended" in machine.log.read_text()
    assert "ended" not in done.stdout
    assert done.stdout.startswith("[INFO] Started at: ")


def test_a_warning_among_the_first_lines_ends_the_waiting_and_is_red_on_a_terminal(machine: Machine) -> None:
    warning = "[WARN] Keep-alive: off: torch is not installed for /bin/python"
    assert machine.submit("exp1", STAND_IN="warns").stdout.splitlines()[4] == warning
    for env, shown in (({}, f"\x1b[31m{warning}\x1b[0m"), ({"NO_COLOR": "1"}, warning), ({"TERM": "dumb"}, warning)):
        said = machine.on_a_terminal("exp1", STAND_IN="warns", **{"TERM": "xterm", **env})
        assert said.splitlines()[4] == shown


def test_what_to_type_to_use_it_says_where_the_queue_is_if_no_file_says_it(machine: Machine) -> None:
    client = Path(machine.script).parent / "client.sh"
    told = machine.submit("exp 1").stdout.splitlines()[-1]
    assert told == f"To use it: export JOB_ID=exp\\ 1; source {client}; gpu_help"
    told = machine.submit("exp1", QUEUE_ROOT=f"{machine.root}/all queues").stdout.splitlines()[-1]
    assert told == f"To use it: export QUEUE_ROOT={machine.root}/all\\ queues JOB_ID=exp1; source {client}; gpu_help"


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_chinese_paths_are_told_as_they_are_and_can_be_typed(machine: Machine, locale: str) -> None:
    root, job = f"{machine.root}/q 中$(x)'文~", "训练 1"
    told = machine.submit(job, QUEUE_ROOT=root, LC_ALL=locale).stdout.splitlines()[-1].removeprefix("To use it: ")
    assert "中" in told
    assert "训练" in told
    typed = subprocess.run(
        ["bash", "-c", f'{told.partition(";")[0]}; printf "%s\\n" "$QUEUE_ROOT" "$JOB_ID"'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert typed.stdout.splitlines() == [root, job]
    dry_run = machine.submit(job, "--dry-run", QUEUE_ROOT=root, LC_ALL=locale).stdout
    words = shlex.split(dry_run, comments=True)
    assert words[words.index("--queue-root") + 1] == root
    assert "中" in dry_run
    assert "训练" in dry_run
