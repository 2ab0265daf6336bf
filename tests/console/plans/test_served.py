"""A console as its user has it: the document's lines as they are typed, and one that only reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from gpu_queue import Script
from tests.console.conftest import READ, MakeClient
from tests.console.served import Served, a_console


def curl(line: str) -> str:
    """A line as it is typed; its output."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_documents_lines_need_no_token_from_the_same_user_on_the_same_machine(served: Served) -> None:
    task = served.spool().submit(Script("a.sh", "python a.py\n"), gpus=1)
    assert task.id is not None
    at = f"http://localhost:{served.port}"
    (mine,) = json.loads(curl(f'curl --noproxy "*" -sS "{at}/api/scheduler/running"'))
    (process,) = mine["queues"][0]["processes"]
    assert (mine["mode"], process["command"], process["id"]) == (None, "python a.py", task.id)
    for mode in ("single", "multi"):
        told = json.loads(curl(f'curl --noproxy "*" -sS "{at}/api/scheduler/{mode}/state"'))
        assert told == {"running": False, "loads": []}
    stopped = json.loads(curl(f'curl --noproxy "*" -sS -X POST "{at}/api/scheduler/stop/{process["pid"]}"'))
    assert (stopped["pid"], stopped["what"], stopped["where"]) == (process["pid"], "done", "failed")
    assert json.loads(curl(f'curl --noproxy "*" -sS "{at}/api/scheduler/running"')) == []
    # A browser's request is not this user's typing.
    refused = curl(f'curl --noproxy "*" -sS -H "Origin: http://evil" -X POST "{at}/api/scheduler/stop/1"')
    assert json.loads(refused)["status"] in (401, 403)


def test_a_script_goes_all_the_way_through_a_real_console(served: Served) -> None:
    plan = served.ask(
        "POST",
        "/api/v1/spools/exp/plans",
        json={
            "action": "submit",
            "scripts": [{"name": "a.sh", "text": "echo 1\n"}, {"name": "b.sh", "text": "#" + "x" * (3 << 20)}],
        },
    )
    assert plan.status_code == 201, plan.text
    assert plan.json()["scripts"][0]["needs"][1]["value"] == str(served.home)
    run = served.ask("POST", f"/api/v1/spools/exp/plans/{plan.json()['id']}/run")
    assert run.json()["counts"] == {"done": 2}
    assert [one.title for one in served.spool().find()] == ["a.sh", "b.sh"]
    (action,) = served.ask("GET", "/api/v1/spools/exp/actions").json()
    assert (action["action"], action["counts"], action["can_undo"]) == ("submit", {"done": 2}, True)
    assert "submit 2 tasks by" in served.said()
    assert served.ask("POST", "/api/v1/spools/exp/plans", token=None, json={"action": "pause"}).status_code == 401


def test_a_console_that_only_reads_has_no_plans(make_client: MakeClient, queue_root: Path) -> None:
    client = make_client(read_only=True)
    for path in ("plans", "plans/x/run", "plans/x/undo", "explain", "read"):
        assert client.request("POST", f"/api/v1/spools/exp/{path}", json={"action": "pause"}).status_code in (
            403,
            404,
        )
    assert client.request("POST", "/api/scheduler/stop/1").status_code in (403, 404)
    assert client.request("GET", "/api/v1/spools/exp/actions").json() == []
    assert client.request("GET", "/api/scheduler/running").json() == []
    assert not (queue_root / "exp" / "paused").exists()
    reads = make_client(token=READ)
    assert reads.request("POST", "/api/v1/spools/exp/plans", json={"action": "pause"}).status_code == 403


def test_the_queue_that_is_not_made_yet_is_made_by_the_first_submission(tmp_path: Path) -> None:
    with a_console(tmp_path, "--job-id", "new") as console:
        wish = {"action": "submit", "scripts": [{"name": "a.sh", "text": "echo 1\n"}]}
        plan = console.ask("POST", "/api/v1/spools/new/plans", json=wish)
        assert plan.status_code == 201, plan.text
        assert not (console.queue_root / "new").exists()
        run = console.ask("POST", f"/api/v1/spools/new/plans/{plan.json()['id']}/run")
        assert run.json()["counts"] == {"done": 1}, run.text
        assert (console.queue_root / "new" / "PROTOCOL").exists()
