"""Job files become tasks: by a plan that says what it will do, once, undone where the spool can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpu_queue.cli import main
from gpu_queue.console.schedulers.grouping import load_pid
from tests.console.inside import Inside

S = "/api/v1/spools/exp"
FILES = f"{S}/jobfiles"
SINGLE = "1\npython a.py\n20\n\n2\npython b.py\n25\n\n1\npython c.py\n20\n"
MULTI = "1\ntorchrun a.py\n2\n20\n\n1\ntorchrun b.py\n1-4\n20\n"
YAML = "jobs:\n  a:\n    matrix:\n      seed: [1, 2]\n    run: python a.py --seed {seed}\n"


@pytest.fixture
def jobfiles(queue_root: Path) -> Path:
    made = queue_root / "exp" / "jobfiles"
    made.mkdir()
    (made / "command_gpu.txt").write_text(SINGLE)
    (made / "command_gpus_1.txt").write_text(MULTI)
    (made / "sweep.yaml").write_text(YAML)
    return made


def got(reply: httpx.Response, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json()


def names(queue_root: Path, state: str) -> list[str]:
    return sorted(one.name[30:] for one in (queue_root / "exp" / state).iterdir() if one.is_file())


def test_a_plan_says_what_a_load_does_and_its_run_does_it_once(
    client: Inside, jobfiles: Path, queue_root: Path, tmp_path: Path
) -> None:
    plan = got(client.post(f"{FILES}/single/0/plan", json={"work_dir": str(tmp_path)}), 201)
    load = plan["load"]
    assert (load["counts"], load["queues"], plan["can_run"], plan["can_undo"]) == ({"new": 3}, 2, True, True)
    assert [(one["title"], one["line"], one["news"]) for one in load["tasks"]] == [
        ("command_gpu-1", 1, "new"),
        ("command_gpu-2", 5, "new"),
        ("command_gpu-3", 9, "new"),
    ]
    assert load["text"]["en"].startswith("3 tasks are queued: 3 new, in 2 queues; commands run in ")
    assert load["text"]["en"].endswith("no agent serves the queue, so they wait")
    assert "排队 3 个任务" in load["text"]["zh"]
    assert names(queue_root, "pending") == [], "nothing is done by saying it"
    outcome = got(client.post(f"{S}/plans/{plan['id']}/run", json={"wait_s": 20}))
    assert (outcome["state"], outcome["counts"], len(outcome["submitted"])) == ("finished", {"done": 3}, 3)
    assert got(client.post(f"{S}/plans/{plan['id']}/run", json={"wait_s": 20}))["submitted"] == outcome["submitted"]
    assert names(queue_root, "pending") == ["command_gpu-1", "command_gpu-2", "command_gpu-3"]
    record = json.loads((queue_root / "exp" / "records" / f"{outcome['submitted'][0]}.json").read_text())
    assert (record["cwd"], record["batch"]["file"]) == (str(tmp_path), str(jobfiles / "command_gpu.txt"))
    (entry,) = [one for one in got(client.get(FILES))["files"] if one["mode"] == "single"]
    assert (entry["loaded"]["waiting"], entry["loaded"]["running"]) == (3, 0)
    assert got(client.get(f"{S}/actions"))[0]["summary"]["text"]["en"] == "load command_gpu.txt: 3 tasks"
    undone = got(client.post(f"{S}/plans/{plan['id']}/undo", json={"wait_s": 20}))
    assert undone["counts"] == {"done": 3}
    assert (names(queue_root, "pending"), len(names(queue_root, "failed"))) == ([], 3)


def test_what_was_loaded_before_and_is_unchanged_is_not_queued_twice(
    client: Inside, jobfiles: Path, queue_root: Path
) -> None:
    got(client.post(f"{FILES}/single/0/load"))
    assert got(client.post(f"{FILES}/single/0/load"))["outcome"] is None, "there is nothing to do"
    (jobfiles / "command_gpu.txt").write_text(SINGLE.replace("b.py", "other.py") + "\n3\npython d.py\n20\n")
    plan = got(client.post(f"{FILES}/single/0/plan"), 201)
    assert plan["load"]["counts"] == {"waits": 2, "changed": 1, "new": 1}
    assert [one["title"] for one in plan["load"]["taken"]] == ["command_gpu-2"]
    got(client.post(f"{S}/plans/{plan['id']}/run", json={"wait_s": 20}))
    assert len(names(queue_root, "pending")) == 4
    assert names(queue_root, "failed") == ["command_gpu-2"]
    got(client.post(f"{S}/plans/{plan['id']}/undo", json={"wait_s": 20}))
    assert names(queue_root, "pending") == ["command_gpu-1", "command_gpu-2", "command_gpu-3"], "as it was before"


def test_a_file_that_was_changed_after_the_plan_is_not_loaded(
    client: Inside, jobfiles: Path, queue_root: Path
) -> None:
    plan = got(client.post(f"{FILES}/single/0/plan"), 201)
    (jobfiles / "command_gpu.txt").write_text("1\nrm -rf /\n1\n")
    outcome = got(client.post(f"{S}/plans/{plan['id']}/run", json={"wait_s": 20}))
    assert "somebody has changed the file" in outcome["problem"]["text"]["en"]
    assert names(queue_root, "pending") == []


def test_what_can_never_run_is_told_with_its_line(client: Inside, jobfiles: Path, queue_root: Path) -> None:
    (jobfiles / "command_gpu.txt").write_text("1\npython a.py\nmuch\n")
    reply = client.post(f"{FILES}/single/0/plan")
    assert (reply.status_code, reply.json()["code"]) == (422, "bad_file")
    assert reply.json()["params"]["problems"][0]["line"] == 3
    (jobfiles / "sweep.yaml").write_text("jobs:\n  a:\n    cwd: relative\n    after: [b]\n    run: x\n")
    reply = client.post(f"{FILES}/yaml/sweep/plan")
    assert (reply.status_code, reply.json()["params"]["problems"][0]["line"] > 0) == (422, True)
    assert client.post(f"{FILES}/single/9/plan").status_code == 404
    assert client.post(f"{S}/plans", json={"action": "load"}).json()["code"] == "by_its_file"
    (jobfiles.parent / "config.yaml").write_text("work_dir: [1]\n")
    (jobfiles / "command_gpu.txt").write_text(SINGLE)
    assert client.post(f"{FILES}/single/0/plan").json()["code"] == "config", "elsewhere they might delete something"
    assert names(queue_root, "pending") == []


def test_an_experiment_file_is_loaded_and_stopped_like_the_others(
    client: Inside, jobfiles: Path, queue_root: Path, tmp_path: Path
) -> None:
    done = got(client.post(f"{FILES}/yaml/sweep/load", json={"work_dir": str(tmp_path)}))
    assert (done["load"]["counts"], done["outcome"]["counts"]) == ({"new": 2}, {"done": 2})
    key = done["outcome"]["submitted"][0]
    assert json.loads((queue_root / "exp" / "records" / f"{key}.json").read_text())["cwd"] == str(tmp_path)
    again = got(client.post(f"{FILES}/yaml/sweep/plan", json={"work_dir": str(tmp_path)}), 201)
    assert (again["load"]["counts"], again["can_run"]) == ({"waits": 2}, False)
    assert [one["key"] for one in again["load"]["tasks"]] == done["outcome"]["submitted"]
    plan = got(client.post(f"{FILES}/yaml/sweep/stop"), 201)
    assert (plan["action"], plan["counts"]["cancel"]) == ("stop", 2)
    got(client.post(f"{S}/plans/{plan['id']}/run", json={"wait_s": 20}))
    assert (names(queue_root, "pending"), len(names(queue_root, "failed"))) == ([], 2)


def test_the_document_starts_tells_and_stops_a_configuration(
    client: Inside, jobfiles: Path, queue_root: Path
) -> None:
    started = got(client.post("/api/scheduler/single/start?config_index=0"))
    assert (started["tasks"], started["agents"], started["news"]) == (3, 0, {"new": 3})
    assert started["pid"] == load_pid(str(jobfiles / "command_gpu.txt")) == (1 << 24) + int(started["load"], 16)
    got(client.post("/api/scheduler/multi/start?config_index=1"))
    multi, single = sorted(got(client.get("/api/scheduler/running")), key=lambda one: str(one["mode"]))
    assert (single["pid"], single["load"], single["config_index"]) == (started["pid"], started["load"], 0)
    assert [len(one["processes"]) for one in single["queues"]] == [2, 1]
    assert all(started["load"] in one["queue"] for one in single["queues"])
    unfinished = client.post("/api/scheduler/single/start?config_index=0")
    assert (unfinished.status_code, unfinished.json()["params"]["pid"]) == (409, started["pid"])
    twice = got(client.post("/api/scheduler/multi/start?config_index=1&again=true"))
    assert twice["tasks"] == 0, "what waits in its place waits there once"
    stopped = got(client.post(f"/api/scheduler/stop/{started['pid']}"))
    assert (stopped["what"], stopped["tasks"], stopped["counts"]) == ("done", 3, {"done": 3})
    assert client.post(f"/api/scheduler/stop/{started['pid']}").status_code == 404
    assert got(client.get("/api/scheduler/single/state")) == {"running": False, "loads": []}
    stopped = got(client.post("/api/scheduler/multi/stop"))
    assert (stopped["stopped"], [(one["config_index"], one["tasks"]) for one in stopped["loads"]]) == (2, [(1, 2)])
    assert stopped["loads"][0]["pid"] == multi["pid"]
    assert got(client.post("/api/scheduler/multi/stop"))["stopped"] == 0
    assert got(client.post("/api/scheduler/single/start?config_index=0"))["tasks"] == 3, "it can be started again"
    assert got(client.post("/api/scheduler/single/stop?config_index=0"))["stopped"] == 3
    assert client.post("/api/scheduler/single/stop?config_index=7").status_code == 404
    assert client.post("/api/scheduler/single/start?config_index=7").status_code == 404
    assert client.post("/api/scheduler/yaml/start?config_index=0").status_code == 422
    assert client.post(f"/api/scheduler/stop/{(1 << 24) + 5}").status_code == 404


def test_a_load_from_the_command_line_is_stopped_by_its_number_too(
    client: Inside, jobfiles: Path, queue_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "work" / "command" / "command_gpu_2.txt"
    place.parent.mkdir(parents=True)
    place.write_text(SINGLE)
    monkeypatch.setenv("QUEUE_ROOT", str(queue_root))
    assert main(["load", "--job-id", "exp", str(place)]) == 0
    got(client.post("/api/scheduler/single/start"))
    other = next(one for one in got(client.get("/api/scheduler/running")) if one["config_index"] == 2)
    stopped = got(client.post(f"/api/scheduler/stop/{other['pid']}"))
    assert (stopped["tasks"], names(queue_root, "pending")) == (
        3,
        ["command_gpu-1", "command_gpu-2", "command_gpu-3"],
    )


def test_a_reading_console_loads_nothing(make_client: Any, jobfiles: Path, queue_root: Path) -> None:
    reading = make_client(read_only=True, start_agents=True)
    for path in (f"{FILES}/single/0/plan", f"{FILES}/single/0/load", "/api/scheduler/single/start"):
        assert reading.post(path).status_code == 403
    assert got(reading.get("/api/v1/console"))["start_agents"] is False
    assert names(queue_root, "pending") == []


def test_a_log_that_is_bound_to_a_place_is_bound_to_what_is_there_and_to_what_is_loaded_later(
    client: Inside, jobfiles: Path, queue_root: Path
) -> None:
    log = queue_root / "exp" / "logs" / "train.log"
    log.write_text("step 1\n")
    got(client.post(f"{FILES}/single/0/load"))
    place = {"path": "train.log", "mode": "single", "config_index": 0, "queue": "1", "position": 2}
    bound = got(client.post("/api/log/bind", json=place))
    assert (bound["pid"], bound["position"], bound["size"]) == (None, 2, 7)
    tree = got(client.get(f"{FILES}/single/0"))["tree"]
    assert [[one["bound_log"] for one in queue["tasks"]] for queue in tree] == [["", "train.log"], [""]]
    (single,) = got(client.get("/api/scheduler/running"))
    told = {one["name"]: one["log_bound"] for queue in single["queues"] for one in queue["processes"]}
    assert told == {"command_gpu-1": False, "command_gpu-2": False, "command_gpu-3": True}
    got(client.post("/api/scheduler/single/stop?config_index=0"))
    again = got(client.post(f"{FILES}/single/0/load"))
    new = next(key for key in again["outcome"]["submitted"] if key.endswith("command_gpu-3"))
    assert got(client.get(f"/api/log/content?pid={new}"))["content"] == "step 1\n"
    yaml = {"path": "train.log", "mode": "yaml", "config_index": "sweep", "queue": None, "position": 1}
    got(client.post(f"{FILES}/yaml/sweep/load"))
    got(client.post("/api/log/bind", json=yaml))
    found = got(client.get("/api/log/bindings"))
    assert [one["position"] for one in found if one["pid"] is None] == [2, 1]
    assert len([one for one in found if one["pid"] is not None]) == 3
    for wrong in (
        {**place, "position": 1},
        {**place, "queue": "7"},
        {**place, "path": "../config.yaml"},
        {**place, "path": "/etc/passwd"},
        {**place, "pid": 5},
        {"path": "train.log", "mode": "single"},
    ):
        assert client.post("/api/log/bind", json=wrong).status_code == 422, wrong
    assert client.post("/api/log/bind", json={**place, "config_index": 9}).status_code == 404
    got(client.request("DELETE", f"{FILES}/single/0"))
    assert [one["position"] for one in got(client.get("/api/log/bindings")) if one["pid"] is None] == [1]
    got(client.post(f"{FILES}/single/0/restore"))
    assert len([one for one in got(client.get("/api/log/bindings")) if one["pid"] is None]) == 2
    got(client.request("DELETE", f"{FILES}/single/0"))
    got(client.post(FILES, json={"mode": "single", "text": SINGLE}), 201)
    tree = got(client.get(f"{FILES}/single/0"))["tree"]
    assert not any(one["bound_log"] for queue in tree for one in queue["tasks"]), "a new file is another one"
