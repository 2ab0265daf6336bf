"""The user's own document about what waits and runs: its paths, as they stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_queue.cli import main
from gpu_queue.reasons import Code, reason
from gpu_queue.spool.pages import WaitPage
from tests.console.plans.console import Console
from tests.shell.helpers import Spool

NODE = "n1-00000001"
RUNNING = "/api/scheduler/running"


def batch(index: int, position: int, mode: str = "single") -> dict[str, Any]:
    return {"file": f"/home/a/command_gpu_{index}.txt", "mode": mode, "index": index, "position": position}


def test_what_waits_and_runs_is_told_by_configuration_queue_and_process(console: Console, spool: Spool) -> None:
    waits = [spool.add("pending", f"c-{n}", batch=batch(1, n), needs={"queue": f"q.{n % 2}"}) for n in range(4)]
    runs = spool.add(f"running/{NODE}", "multi-1", batch=batch(0, 0, "multi"), needs={"memory": "20G"})
    own = spool.add("pending", "own.sh")
    (spool.path / "pending" / own).write_text("#!/bin/bash\n# mine\nexport A=1\npython own.py --lr 1\n")
    (spool.path / "pending" / "by hand.sh").write_text("true\n")
    backoff = reason(Code.BACKOFF, failures=2, left_s=60, until_s=1, error_type="oom")
    spool.node(NODE, waiting=(WaitPage(waits[0], backoff),))
    multi, single, others = sorted(console.ask("GET", RUNNING), key=lambda one: str(one["mode"] or "zzz"))
    assert (single["mode"], single["config_index"], single["file"]) == ("single", 1, "/home/a/command_gpu_1.txt")
    assert [(one["queue"], one["pending"], one["running"], one["state"]) for one in single["queues"]] == [
        ("q.0", 2, 0, "idle"),
        ("q.1", 2, 0, "idle"),
    ]
    first = single["queues"][0]["processes"][0]
    assert (first["pid"], first["name"]) == (int(waits[0][23:29], 16), "c-0")
    assert (first["state"], first["retry_count"], first["error_type"]) == ("pending", 2, "oom")
    (process,) = multi["queues"][0]["processes"]
    assert (process["state"], process["node"], process["memory_gb"]) == ("running", NODE, 20.0)
    assert (process["pid"], process["id"]) == (int(runs[23:29], 16), runs[4:])
    assert (others["mode"], others["config_index"]) == (None, None)
    told = {one["name"]: (one["pid"], one["command"]) for one in others["queues"][0]["processes"]}
    assert told == {"own.sh": (int(own[23:29], 16), "python own.py --lr 1"), "by hand.sh": (None, "true")}
    assert console.ask("GET", "/api/scheduler/multi/state")["running"]
    assert len(console.ask("GET", "/api/scheduler/single/state?job=exp")["loads"]) == 1
    console.ask("GET", "/api/scheduler/both/state", status=422)


def test_a_command_file_that_was_loaded_is_told_as_its_configuration(
    console: Console, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "work" / "command" / "command_gpu_2.txt"
    place.parent.mkdir(parents=True)
    place.write_text("1\npython a.py\n20\n\n2\npython b.py\n25\n")
    monkeypatch.setenv("QUEUE_ROOT", str(tmp_path))
    assert main(["load", "--job-id", "exp", str(place)]) == 0
    (one,) = console.ask("GET", RUNNING)
    assert (one["mode"], one["config_index"], one["file"]) == ("single", 2, str(place))
    commands = [process["command"] for queue in one["queues"] for process in queue["processes"]]
    assert commands == ["python a.py", "python b.py"]
    assert [process["memory_gb"] for queue in one["queues"] for process in queue["processes"]] == [20.0, 25.0]


def test_a_process_is_stopped_by_its_number_wherever_it_is(console: Console, spool: Spool) -> None:
    waits = spool.add("pending", "waits.sh")
    runs = spool.add(f"running/{NODE}", "runs.sh")
    done = spool.add("done", "done.sh")
    stopped = console.ask("POST", f"/api/scheduler/stop/{int(waits[23:29], 16)}")
    assert (stopped["what"], stopped["where"], stopped["id"]) == ("done", "failed", waits[4:])
    stopped = console.ask("POST", f"/api/scheduler/stop/{int(runs[23:29], 16)}?job=exp")
    assert (stopped["what"], stopped["where"]) == ("done", "failed"), "no agent is alive there"
    stopped = console.ask("POST", f"/api/scheduler/stop/{int(done[23:29], 16)}")
    assert (stopped["what"], stopped["where"]) == ("gone", "done")
    assert len(spool.names("failed")) == 2
    assert console.ask("POST", "/api/scheduler/stop/77", status=404)["code"] == "no_such_process"
    assert console.ask("POST", f"/api/scheduler/stop/{1 << 24}", status=404)["code"] == "no_such_process"
    assert console.ask("POST", f"/api/scheduler/stop/{'9' * 900}", status=404)["code"] == "no_such_process"


def test_of_two_tasks_with_one_number_none_is_stopped_until_one_is_named(console: Console, spool: Spool) -> None:
    ids = [f"20261123T01440000{number}-7ad896-{number}.sh" for number in (1, 2)]
    for task_id in ids:
        (spool.path / "pending" / f"500-{task_id}").write_text("true\n")
    reply = console.ask("POST", "/api/scheduler/stop/8050838", status=409)
    assert (reply["code"], reply["params"]["ids"]) == ("which_process", ids)
    assert len(spool.names("pending")) == 2
    stopped = console.ask("POST", f"/api/scheduler/stop/{ids[1]}")
    assert (stopped["pid"], stopped["what"]) == (8050838, "done")
    assert spool.names("pending") == [f"500-{ids[0]}"]


def test_which_queue_is_asked_for_where_none_is_meant(tmp_path: Path) -> None:
    for job in ("a", "b"):
        Spool(tmp_path / job).make()
    both = Console(tmp_path / "a", home="/")
    try:
        assert both.ask("GET", RUNNING) == [], "the console's own"
        object.__setattr__(both.state.worlds, "default_job", None)
        reply = both.ask("GET", RUNNING, status=409)
        assert reply["params"]["spools"] == ["a", "b"]
        assert both.ask("GET", f"{RUNNING}?job=b") == []
        assert both.ask("GET", f"{RUNNING}?job=c", status=404)["code"] == "no_such_spool"
    finally:
        both.close()


def test_of_many_a_part_is_told_and_how_many_are_left_out(console: Console, spool: Spool) -> None:
    for number in range(1100):
        task_id = f"20261123T0144{number:05d}-{number:06x}-{number}.sh"
        (spool.path / "pending" / f"500-{task_id}").touch()
    reply = console.reply("GET", RUNNING)
    (others,) = reply.json()
    told = len(others["queues"][0]["processes"])
    assert 0 < told <= 1000
    assert told + int(reply.headers["X-Left-Out"]) == 1100
