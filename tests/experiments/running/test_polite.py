"""``gpu-queue run`` on a server that others use: while a file's runs go on, none is placed beside a stranger."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.politeness import Server
from tests.experiments.running.lab import a_lab
from tests.fake_nvml import build

RUNS = 24

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act as several users"
)


@pytest.fixture
def base() -> Iterator[Path]:
    base = Path(tempfile.mkdtemp(prefix="gpu-queue-test."))  # pytest's own places are closed to others
    base.chmod(0o755)
    yield base
    shutil.rmtree(base, ignore_errors=True)


def test_none_of_24_runs_is_placed_beside_a_stranger(base: Path) -> None:
    server = Server(base, build(base / "library"), cards=4)
    script = textwrap.indent(server.task(0.15), " " * 6)
    text = f"jobs:\n  train:\n    matrix: {{seed: {list(range(RUNS))}}}\n    run: |\n{script}"
    people = {"there_s": 2.0, "away_s": 6.0, "rude": 0.7}
    with a_lab(base, text) as lab:
        lab.more = server.environment()
        typed = lab.type(simulate="")
        lab.agent()  # who has gone before that nobody can see
        with server.others(time.time_ns() % 1000, people):
            status = typed.status()
            manners = server.judge(time.monotonic())
        said = typed.said
    print(f"\n{manners.text()}\n{said}")
    assert status == 0, said
    assert manners.tasks == RUNS
    assert not manners.impolite, "\n".join(manners.impolite)
    assert "arrives" in server.events.read_text(), "somebody was there"
