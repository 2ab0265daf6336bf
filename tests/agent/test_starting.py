"""The first lines of an agent: what they promise holds when they are said."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.harness import ROOT, Cluster, wait_until
from tests.agent.test_commands import run_check
from tests.keepalive.nursery import HAS_TORCH, needs_torch


def first_lines(cluster: Cluster) -> list[str]:
    return [line for line in cluster.output.read_text().splitlines() if line.startswith(("[INFO] ", "[WARN] "))]


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """An interpreter that has no torch."""
    python = tmp_path / "a b" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_who_reads_the_last_of_them_finds_the_nodes_page(cluster: Cluster) -> None:
    agent = subprocess.Popen(
        cluster.command("--no-keepalive"), env=cluster.environment(), stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    try:
        for line in agent.stdout:
            if line.startswith("[INFO] Keep-alive: "):
                break
        (node,) = cluster.nodes()
        assert node["pid"] == agent.pid
        assert Path(cluster.paths.root, "nodes", f"{node['node']}.tsv").exists()
    finally:
        agent.kill()
        agent.communicate()


@pytest.mark.parametrize(("lifetime", "told"), [("20s", "20s"), ("24h", "24h"), ("1d12h", "1d12h")])
def test_the_lifetime_is_told_as_people_write_it(cluster: Cluster, lifetime: str, told: str) -> None:
    cluster.start("--lifetime", lifetime)
    (line,) = (line for line in first_lines(cluster) if line.startswith("[INFO] Auto-shutdown at: "))
    assert line.endswith(f" ({told})")
    assert f"lifetime    {told}, then" in run_check(cluster, "--lifetime", lifetime).stdout


def test_a_keep_alive_that_is_switched_off_is_said_to_be_off(cluster: Cluster) -> None:
    cluster.start()
    wait_until(lambda: "Keep-alive: " in cluster.output.read_text(), "the last line", dump=cluster.dump)
    assert "[INFO] Keep-alive: off; idle GPUs stay idle" in first_lines(cluster)
    assert "keep-alive  off; idle GPUs stay idle\n" in run_check(cluster, "--no-keepalive").stdout


@needs_torch
def test_a_keep_alive_that_people_have_switched_off_is_said_to_be_off(cluster: Cluster) -> None:
    Path(cluster.paths.root, "keepalive-off").touch()
    assert "keep-alive  off, by gpu_keepalive off; idle GPUs stay idle until" in run_check(cluster).stdout


def test_without_torch_the_last_line_is_a_warning_with_the_command_that_mends_it(
    cluster: Cluster, bare_python: str
) -> None:
    cluster.start(keepalive=True, GPU_QUEUE_KEEPALIVE_PYTHON=bare_python)
    wait_until(lambda: "Keep-alive: " in cluster.output.read_text(), "the last line", dump=cluster.dump)
    wanted = (
        f"off: torch is not installed for {bare_python}: idle GPUs stay idle, and a cluster takes an idle node away. "
        f"To mend it: '{bare_python}' -m pip install torch"
    )
    assert f"[WARN] Keep-alive: {wanted}" in first_lines(cluster)
    checked = subprocess.run(
        cluster.command("--check"),
        env=cluster.environment(GPU_QUEUE_KEEPALIVE_PYTHON=bare_python),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"keep-alive  {wanted}\n" in checked.stdout


@pytest.mark.parametrize(
    ("environment", "is_red"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_it_is_red_on_a_terminal(
    cluster: Cluster, bare_python: str, environment: dict[str, str], is_red: bool
) -> None:
    ours, theirs = pty.openpty()
    checking = subprocess.Popen(
        cluster.command("--check"),
        env=cluster.environment(GPU_QUEUE_KEEPALIVE_PYTHON=bare_python, **{"NO_COLOR": "", **environment}),
        stdout=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how Linux tells the end of a terminal
            break
        said += piece
    checking.wait()
    os.close(ours)
    assert (b"\x1b[31moff: torch is not installed" in said) == is_red
    assert (b"\x1b" in said) == is_red


def test_constants_edited_in_the_program_are_obeyed_and_a_bad_one_is_refused_with_its_name(
    cluster: Cluster, tmp_path: Path
) -> None:
    program = tmp_path / "the code" / "perpetual_motion.py"
    program.parent.mkdir()
    (program.parent / "gpu_queue").symlink_to(ROOT / "gpu_queue")
    text = (ROOT / "perpetual_motion.py").read_text(encoding="utf-8")

    def check(text: str) -> str:
        program.write_text(text)
        command = [
            word if not word.endswith("perpetual_motion.py") else str(program) for word in cluster.command("--check")
        ]
        return subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, check=False).stdout

    assert "lifetime    48h, then" in check(text.replace("AUTO_SHUTDOWN_HOURS = 24", "AUTO_SHUTDOWN_HOURS = 48"))
    edited = text.replace("GPU_UTIL_TARGET = 70", "GPU_UTIL_TARGET = 60").replace(
        "GPU_UTIL_HIGH = 85", "GPU_UTIL_HIGH = 75"
    )
    if HAS_TORCH:
        assert "idle GPUs at 60-75 %" in check(edited)
    told = check(text.replace("MEMORY_USAGE_TARGET = 0.6", "MEMORY_USAGE_TARGET = 6"))
    assert f"PROBLEM: {program}: MEMORY_USAGE_TARGET: '6'; expected a part of the memory" in told
    Path(cluster.paths.config).write_text("lifetime: 1h\n")
    assert "lifetime    1h, then" in check(text.replace("AUTO_SHUTDOWN_HOURS = 24", "AUTO_SHUTDOWN_HOURS = 48"))
