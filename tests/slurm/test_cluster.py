"""The Slurm that other tests rely on: several at once, and nothing of one is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from tests.slurm.cluster import ROOT, a_slurm
from tests.slurm.conftest import refuse_unless_asked

STARTER = """
import os, signal
from tests.slurm.cluster import a_slurm
with a_slurm() as cluster:
    cluster.ask("sbatch", "--output=/dev/null", "--wrap", "setsid sleep 4321 & sleep 4321")
    cluster.wait_for_state("1", "RUNNING")
    print(cluster.base, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def asked() -> None:
    refuse_unless_asked()


def commands_of(base: str) -> list[list[str]]:
    """The command of every process that has the cluster's directory in its arguments or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if base in "\0".join([*words, *process.environ().values()]):
                found.append(words)
        except psutil.Error:
            continue
    return found


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_two_clusters_at_once_have_nothing_in_common() -> None:
    with a_slurm() as one, a_slurm(nodes=1, gpus=2) as other:
        for cluster in (one, other):
            cluster.ask("sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 60")
        assert [len(cluster.ask("squeue", "-h").splitlines()) for cluster in (one, other)] == [1, 1]
        assert (sorted(one.node_states()), sorted(other.node_states())) == (["n1", "n2"], ["n1"])


def test_of_a_cluster_whose_starter_is_killed_nothing_is_left_running() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with starter:
        try:
            assert starter.stdout is not None
            base = starter.stdout.readline().strip()
            assert base
            is_there = until(lambda: sum("4321" in words for words in commands_of(base)) >= 2)  # one left its session
            assert is_there, commands_of(base)
        finally:
            starter.send_signal(signal.SIGKILL)
    assert until(lambda: not commands_of(base)), commands_of(base)
    assert until(lambda: not os.path.exists(base))
