"""`--start-agents`: a start brings an agent by the real submit.sh where nobody serves, and a stop ends that one."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.console.jobfiles import starting
from gpu_queue.spool.desk import asking
from gpu_queue.spool.desk.steering import What
from gpu_queue.spool.paths import SpoolPaths
from tests.agent.harness import QUICK, wait_until
from tests.console.conftest import MakeClient

WAITS = "1\nsleep 600\n0\n"
START, STOP = "/api/scheduler/single/start", "/api/scheduler/single/stop"


@pytest.fixture
def paths(queue_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpoolPaths]:
    """A queue; what submit.sh starts here is ended at the end."""
    home = tmp_path / "home"
    home.mkdir()
    values = {
        **QUICK,
        "HOME": str(home),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "SUBMIT_WAY": "local",
        "GPU_QUEUE_SIMULATE": "2",
        "PYTHON": sys.executable,
        "GPU_QUEUE_LOCAL_DIR": str(tmp_path / "local"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    made = SpoolPaths(str(queue_root / "exp"))
    (queue_root / "exp" / "jobfiles").mkdir()
    (queue_root / "exp" / "jobfiles" / "command_gpu.txt").write_text(WAITS)
    yield made
    pids = [page.pid for page in asking.living(made)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.5 if pids and number == signal.SIGTERM else 0)


def got(reply: Any, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json()


def test_start_brings_an_agent_where_nobody_serves_and_stop_ends_it(
    make_client: MakeClient, paths: SpoolPaths
) -> None:
    client = make_client(start_agents=True)
    assert got(client.get("/api/v1/console"))["start_agents"] is True
    plan = got(client.post("/api/v1/spools/exp/jobfiles/single/0/plan"), 201)
    assert plan["load"]["starts_agent"] is True
    assert "so one is started on the console's machine" in plan["load"]["text"]["en"]
    started = got(client.post(START))
    assert (started["tasks"], started["agents"]) == (1, 1), started
    (page,) = asking.living(paths)
    assert page.node in started["agent"]
    assert len(page.gpus) == 1
    wait_until(
        lambda: [one for one in got(client.get("/api/scheduler/running")) for q in one["queues"] if q["running"]],
        "the task to run",
    )
    assert got(client.post("/api/v1/spools/exp/jobfiles/single/0/plan"), 201)["load"]["starts_agent"] is False
    stopped = got(client.post(STOP))
    assert stopped["counts"] == {"done": 1}
    assert "which the console had started, has ended" in stopped["agent"]
    wait_until(lambda: not asking.askable(paths), "the agent to be gone")


def test_of_two_who_start_at_once_one_starts_and_an_agent_with_other_work_goes_on(paths: SpoolPaths) -> None:
    with ThreadPoolExecutor(2) as pool:
        works = [pool.submit(starting.start, paths, [1], dict(os.environ), time.time()) for _ in range(2)]
        outcomes = [one.result() for one in works]
    assert [one.what for one in outcomes] == [What.DONE] * 2
    assert sorted("none was started" in one.why.text.en for one in outcomes) == [False, True]
    assert len(asking.living(paths)) == 1
    (Path(paths.root) / "pending" / "other.sh").write_text("sleep 600\n")
    kept = starting.end(paths)
    assert kept is not None
    assert (kept.what, "goes on" in kept.why.text.en) == (What.REFUSED, True)
    assert len(asking.living(paths)) == 1


@pytest.mark.long
def test_without_the_flag_only_tasks_start_and_nobodys_agent_ends(make_client: MakeClient, paths: SpoolPaths) -> None:
    client = make_client()
    assert got(client.post(START))["agents"] == 0
    assert asking.askable(paths) == []
    starting.start(paths, [1], dict(os.environ), time.time())
    stopped = got(client.post(STOP))
    assert (stopped["stopped"], stopped["agent"]) == (1, "")
    assert len(asking.living(paths)) == 1


def test_what_was_loaded_where_nobody_could_serve_gets_its_agent_by_starting_again(
    make_client: MakeClient, paths: SpoolPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(start_agents=True)
    monkeypatch.setenv("SUBMIT_WAY", "no-such-way")
    first = got(client.post(START))
    assert (first["tasks"], first["agents"]) == (1, 0)
    assert "no-such-way" in first["agent"]
    monkeypatch.setenv("SUBMIT_WAY", "local")
    second = got(client.post(START))
    assert (second["tasks"], second["agents"], second["ids"]) == (0, 1, [])
    assert got(client.post(START), 409)["code"] == "unfinished"
    got(client.post(STOP))


def test_what_submit_sh_refuses_is_told(paths: SpoolPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = starting.start(paths, [9], {**os.environ, "SUBMIT_WAY": "no-such-way"}, time.time())
    assert outcome.what is What.REFUSED
    assert "no-such-way" in outcome.why.text.en
    assert starting.own_agent(paths) is None
