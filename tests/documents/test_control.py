"""Document 002: its console, started by its scripts, asked by its `curl` lines; a real agent, simulated GPUs."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.spool.desk import asking
from gpu_queue.spool.paths import SpoolPaths
from tests.agent.harness import wait_until
from tests.documents.typist import Typist, a_typist

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
HERE = "scripts/compete_gpu_retry"
SETTINGS = f"{HERE}/config/control_setting.yaml"


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    with a_typist(tmp_path / "it's a $(touch pwned) dir", "3x80G") as made:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        settings = made.project / SETTINGS
        said = settings.read_text().replace("29214", str(port))
        settings.write_text(said.replace("queue_root: ", f'queue_root: "{made.base}/queues"'))
        made.environment |= {"PORT": str(port), "SUBMIT_WAY": "local", "XDG_STATE_HOME": f"{made.base}/state"}
        yield made


def curl(typist: Typist, line: str) -> Any:
    """A line of the document; its port is that of the settings."""
    said = typist.types(line.replace("curl ", 'curl -sS --noproxy "*" ').replace("29214", typist.environment["PORT"]))
    return json.loads(said)


def test_the_console_starts_stops_and_answers_as_the_document_has_it(typist: Typist) -> None:
    assert "#token=" in typist.types("cd scripts/compete_gpu_retry/control\nbash run.sh")
    try:
        listed = curl(typist, 'curl "http://localhost:29214/api/commands/single/list"')
        assert [one["index"] for one in listed] == [0, 1]
        started = curl(typist, 'curl -X POST "http://localhost:29214/api/scheduler/single/start?config_index=0"')
        assert (started["tasks"], started["agents"]) == (2, 1), str(started)
        busy = curl(typist, 'curl -X POST "http://localhost:29214/api/scheduler/multi/start?config_index=0"')
        assert busy["tasks"] == 1
        spool = SpoolPaths(f"{typist.base}/queues/compete_gpu")
        done = Path(spool.root) / "done"
        wait_until(lambda: len(list(done.iterdir())) == 3, "the tasks to be done", dump=lambda: str(started))
        assert "run.sh on GPU" in "".join(one.read_text() for one in (Path(spool.root) / "logs").glob("*-2.log"))
        stopped = curl(typist, 'curl -X POST "http://localhost:29214/api/scheduler/single/stop"')
        assert "has ended" in stopped["agent"], stopped
        wait_until(lambda: not asking.askable(spool), "the agent to be gone")
    finally:
        said = typist.types("cd scripts/compete_gpu_retry/control\nbash shut_down.sh")
    assert "has ended" in said
    assert "no console of yours runs" in typist.types(f"bash {HERE}/control/shut_down.sh", status=1)
