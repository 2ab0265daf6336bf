"""``--check`` takes a little memory of the cards that are free for it: on a stand-in for driver and torch."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpu_queue.execution.local import NodeDirectory
from gpu_queue.gpus.leases import Leases
from gpu_queue.keepalive.trial import remedy
from gpu_queue.locks import try_lock
from tests.agent.harness import ROOT, Cluster
from tests.fake_nvml import GIB, FakeGpu, Scenario, build, environment
from tests.keepalive.nursery import needs_torch

CARD = str(ROOT / "tests/keepalive/card")
NO_WORDS: Mapping[str, str] = {}
ILL = "CUDA error: uncorrectable ECC error encountered"
WELL = "256M taken, written, read and given back by torch 2.4.1"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


class Server:
    """A server with cards, of which `--check` is asked."""

    def __init__(self, cluster: Cluster, library: Path, *gpus: FakeGpu) -> None:
        self.cluster = cluster
        self.log = cluster.base / "cards.log"
        node = Scenario(cluster.base / "scenario", list(gpus))
        node.write()
        self._more = environment(library, node)

    def said(self, *flags: str, how: Mapping[str, str] = NO_WORDS, torch: str = CARD) -> tuple[int, list[str]]:
        """The status, and what is said of memory."""
        more = {**self._more, "PYTHONPATH": torch, "CARDS": json.dumps(how), "CARDS_LOG": str(self.log)}
        done = subprocess.run(
            self.cluster.command("--check", *flags, simulate=None),
            env=self.cluster.environment(**more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        said = [text for what, text in lines if what == "memory"]
        assert said, done.stdout + done.stderr
        return done.returncode, said

    def touched(self) -> set[str]:
        """UUIDs of the cards of which memory was taken."""
        return {line.split()[0] for line in self.log.read_text().splitlines()} if self.log.exists() else set()


def test_each_card_says_what_it_gave_or_why_not_and_what_to_do(cluster: Cluster, library: Path) -> None:
    names = ("GPU-a", "GPU-b", "GPU-ill", "GPU-full", "GPU-leased", "GPU-lost")
    gpus = {name: FakeGpu(name) for name in names}
    gpus["GPU-full"].used = 79 * GIB
    gpus["GPU-lost"].state = 15
    server = Server(cluster, library, *gpus.values())
    own = NodeDirectory.open(str(cluster.local))
    task = Path(own.root, "tries/a-task")
    task.mkdir(parents=True)
    lock = try_lock(str(task / "lock"))
    assert lock is not None
    assert Leases(own.root).take(["GPU-leased"], str(task))

    status, said = server.said(how={"GPU-ill": "ill"})

    os.close(lock)
    assert status == 1, "a card that cannot be used is a problem"
    assert said[:4] == [
        f"GPUs 0, 1: {WELL}",
        f"PROBLEM: GPU 2: {ILL}; {remedy(ILL)}",
        "GPU 3: not tried: 512M of its memory are free, and 1G are needed",
        "GPU 4: not tried: a task, or the keep-alive, has it",
    ]
    assert said[4].startswith("GPU 5: not tried: ")
    assert len(said) == 5
    assert server.touched() == {"GPU-a", "GPU-b"}


def test_on_a_shared_server_nothing_is_taken_where_somebody_is(cluster: Cluster, library: Path) -> None:
    gpus = [FakeGpu("GPU-free"), FakeGpu("GPU-others"), FakeGpu("GPU-left")]
    gpus[1].processes = (os.getpid(),)
    server = Server(cluster, library, *gpus)
    status, said = server.said("--mode", "shared", "--gpu-left", "1")
    assert (status, said[0], said[2]) == (0, f"GPU 0: {WELL}", "GPU 2: not tried: it is left to others")
    assert said[1].startswith(f"GPU 1: not tried: process {os.getpid()} (")
    assert server.touched() == {"GPU-free"}


def test_where_processes_are_hidden_memory_tells_of_somebody(cluster: Cluster, library: Path) -> None:
    gpus = [FakeGpu("GPU-free", used=GIB // 4), FakeGpu("GPU-others", used=9 * GIB), FakeGpu("GPU-busy", util=90)]
    gpus[0].processes = (1 << 22,)  # of another namespace: nobody here
    server = Server(cluster, library, *gpus)
    status, said = server.said("--mode", "shared")
    assert status == 0
    assert said == [
        f"GPU 0: {WELL}",
        "GPU 1: not tried: somebody may be on it: 9G of its memory and 0 % of its time in use",
        "GPU 2: not tried: somebody may be on it: 0B of its memory and 90 % of its time in use",
    ]
    assert server.touched() == {"GPU-free"}


def test_without_torch_nothing_is_tried_and_it_says_what_to_type(cluster: Cluster, library: Path) -> None:
    server = Server(cluster, library, FakeGpu("GPU-a"))
    python = cluster.base / "bin/python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    Path(cluster.paths.config).write_text(f"keepalive:\n  python: {python}\n")
    status, said = server.said(torch="")
    install = f"{shlex.quote(str(python))} -m pip install torch"
    assert (status, said) == (0, [f"not tried: torch is not installed for {python}; to have it tried: {install}"])


@needs_torch
def test_with_the_real_torch_it_says_that_this_one_has_no_cuda(cluster: Cluster, library: Path) -> None:
    status, said = Server(cluster, library, FakeGpu("GPU-a")).said(torch="")
    if "given back" in said[0] or "PROBLEM" in said[0]:
        pytest.skip("this torch was built with CUDA")
    assert status == 0
    assert said[0].startswith("not tried: torch ")
    assert "was built without CUDA; to have it tried: " in said[0]


def test_simulated_cards_are_told_as_simulated(cluster: Cluster) -> None:
    command = cluster.command("--check", simulate="2")
    done = subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, timeout=30, check=True)
    assert "\nmemory      not tried: these GPUs are simulated\n" in done.stdout
