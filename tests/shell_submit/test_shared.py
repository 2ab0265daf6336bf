"""submit.sh on a server that several people share: which GPUs an agent serves where nobody has asked for a number."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import long
from tests.shell_submit.machine import PROJECT, Machine

DOCUMENT = (PROJECT / "tests" / "unit" / "documents" / "001-config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ([], "--gpus-unless-shared"),
        (["2"], "--gpus"),
        (["all"], "--gpus"),
    ],
)
def test_a_number_that_nobody_asked_for_is_told_to_the_agent_as_such(
    machine: Machine, words: list[str], flag: str
) -> None:
    assert f' {flag} "$gpus"' in machine.dry_run("exp1", *words)


def test_a_cluster_is_asked_for_two_gpus_and_the_agent_takes_those_that_it_is_given(
    machine: Machine, moon: Path
) -> None:
    shown = machine.dry_run("exp1")
    assert "launch --gpus 2 " in shown
    assert "\ngpus=all\n" in shown
    assert ' --gpus-unless-shared "$gpus"' in shown


@pytest.mark.parametrize(
    ("config", "flags", "served"),
    [
        (
            "compete_gpus: [3, 7]\n",
            [],
            (
                "0, 1, 2, 3\ncards       tasks may have GPUs 3; "
                "passed over, for they are not served here: compete_gpus 7\nothers"
            ),
        ),
        (
            "compete_gpus: [7]\n",
            [],
            (
                "0, 1, 2, 3\ncards       PROBLEM: no task gets a GPU: see compete_gpus and gpu_left; "
                "passed over, for they are not served here: compete_gpus 7\n"
            ),
        ),
        (DOCUMENT, [], "0, 1, 2, 3"),
        ("mode: shared\ngpus: [3, 2]\n", [], "3, 2"),
        ("gpu_left: {free: 1}\n", ["--mode", "dedicated"], "0, 1"),
        ("gpus: [3]\n", [], "0, 1"),
        *long(
            (f"mode: dedicated\n{DOCUMENT}", [], "0, 1"),
            ("mode: shared\n", [], "0, 1, 2, 3"),
            ("gpu_left: {free: 1}\n", ["--gpus", "2,3"], "2, 3"),
            ("", [], "0, 1"),
            ("gpus: [3]\n", ["--mode", "shared"], "3"),
        ),
    ],
)
def test_it_counts_only_where_the_gpus_are_this_users_alone(
    tmp_path: Path, config: str, flags: list[str], served: str
) -> None:
    (tmp_path / "exp1").mkdir()
    (tmp_path / "exp1" / "config.yaml").write_text(f"simulate: 4\n{config}", encoding="utf-8")
    command: list[str | Path] = [
        sys.executable,
        PROJECT / "perpetual_motion.py",
        "--job-id",
        "exp1",
        "--queue-root",
        tmp_path,
    ]
    done = subprocess.run(
        [*command, "--gpus-unless-shared", "0,1", "--no-keepalive", *flags, "--check"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GPU_QUEUE_LOCAL_DIR": str(tmp_path / "local")},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert f"; serves {served}" in done.stdout, done.stdout + done.stderr


def test_a_config_yaml_of_the_documents_is_served_as_it_is_by_an_agent_that_submit_sh_starts(
    machine: Machine,
) -> None:
    spool = machine.root / "home" / "gpu_queue" / "exp1"
    spool.mkdir(parents=True, mode=0o700)
    (spool / "config.yaml").write_text(f"simulate: 4\n{DOCUMENT}", encoding="utf-8")
    done = machine.submit(
        "exp1", CODE_DIR=str(PROJECT), GPU_QUEUE_LOCAL_DIR=str(machine.root / "local"), GPU_QUEUE_KEEPALIVE="off"
    )
    try:
        assert done.returncode == 0, done.stderr
        assert "GPUs 0, 1, 2, 3 of 4 GPUs (simulated" in done.stdout
        because = "check_time, compete_gpus, use_all_gpus, gpu_left, maximize_resource_utilization, "
        because += "retry_config.max_retry_before_backoff, retry_config.backoff_duration"
        assert f"[INFO] Settings: mode is shared, because of {because} in {spool}/config.yaml\n" in done.stdout
    finally:
        machine.submit("--delete", "exp1")
        pid = re.search(r"\(process (\d+)\)", done.stdout)
        assert pid is not None
        subprocess.run(["tail", f"--pid={pid[1]}", "-f", "/dev/null"], check=True, timeout=30)
