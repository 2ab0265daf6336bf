"""``gpu-queue run`` on a server that others use: while a file's runs go on, none is placed beside a stranger."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.harness import wait_until
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
    script = textwrap.indent(server.task(0.1), " " * 6)
    text = f"jobs:\n  train:\n    matrix: {{seed: {list(range(RUNS))}}}\n    run: |\n{script}"
    server.cards = 2  # strangers come to two of the four, and stay; now and then they do nothing
    with a_lab(base, text) as lab, server.others(time.time_ns() % 1000, {"there_s": 300.0, "away_s": 0.01}):
        wait_until(lambda: server.events.read_text().count("arrives") == 2, "strangers")
        lab.more = server.environment()
        status, said = lab.run(simulate="")
        manners = server.judge(time.monotonic())
        cards = Counter(one.card for one in server.stays(time.monotonic()))
    assert status == 0, said
    assert manners.tasks == RUNS
    assert not manners.impolite, "\n".join([*manners.impolite, said])
    assert cards.keys() == {2, 3}
