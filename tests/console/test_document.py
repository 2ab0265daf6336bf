"""The table of paths of document 002, typed as `curl` lines, one by one, at a real console: no line names a token."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.console.served import Served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
HOST = "http://localhost:29214"
JSON = "-H 'Content-Type: application/json' -d"


def typed(served: Served, line: str) -> tuple[int, Any]:
    """The status and the reply of a line, as a shell types it; the port is that of the console."""
    words = line.replace("29214", str(served.port)).replace("curl ", 'curl -sS --noproxy "*" -w "\\n%{http_code}" ')
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=60, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_each_path_of_the_table_answers_as_it_is_typed_there(served: Served) -> None:
    def ask(line: str, status: int = 200) -> Any:
        found, reply = typed(served, line)
        assert found == status, (line, reply)
        return reply

    # /api/commands/{mode}/new, list, all, {mode} GET and PUT
    assert ask(f'curl -X POST "{HOST}/api/commands/single/new"', 201)["index"] == 0
    assert ask(f'curl -X POST "{HOST}/api/commands/multi/new"', 201)["index"] == 0
    assert ask(f'curl -X POST "{HOST}/api/commands/multi/new"', 201)["file"] == "command_gpus_1.txt"
    assert [one["name"] for one in ask(f'curl "{HOST}/api/commands/multi/list"')] == [
        "configuration 1",
        "configuration 2",
    ]
    assert len(ask(f'curl "{HOST}/api/commands/multi/all"')) == 2
    assert ask(f'curl "{HOST}/api/commands/single"')["tasks"] == 2
    queues = (
        '{"queues": [{"queue": 1, "processes": [{"command": "python script.py --arg1 value1", "memory_gb": 20}]}]}'
    )
    ask(f"curl -X PUT \"{HOST}/api/commands/single?config_index=0\" {JSON} '{queues}'")
    assert ask(f'curl "{HOST}/api/commands/single?config_index=0"')["text"].endswith(
        "python script.py --arg1 value1\n20\n"
    )
    text = '{"text": "2\\\\nbash run.sh\\\\n2x\\\\n25\\\\n"}'.replace("\\\\", "\\")
    reply = ask(f"curl -X PUT \"{HOST}/api/commands/multi?config_index=1\" {JSON} '{text}'", 422)
    assert reply["params"]["problems"][0]["line"] == 4, reply
    ask(f"curl -X PUT \"{HOST}/api/commands/multi?config_index=1\" {JSON} '{text.replace('2x', '2')}'")
    assert ask(f'curl "{HOST}/api/commands/single?config_index=7"', 404)["code"] == "no_such_file"
    # /api/scheduler/{mode}/start, state, /running, stop/{pid}, {mode}/stop
    started = ask(f'curl -X POST "{HOST}/api/scheduler/single/start?config_index=0"')
    assert (started["tasks"], started["agents"]) == (1, 0)
    assert (
        ask(f'curl -X POST "{HOST}/api/scheduler/single/start?config_index=0"', 409)["params"]["pid"]
        == started["pid"]
    )
    multi = ask(f'curl -X POST "{HOST}/api/scheduler/multi/start?config_index=1"')
    assert ask(f'curl "{HOST}/api/scheduler/single/state"')["running"] is True
    running = ask(f'curl "{HOST}/api/scheduler/running"')
    assert {one["pid"] for one in running} == {started["pid"], multi["pid"]}
    (process,) = next(one for one in running if one["mode"] == "single")["queues"][0]["processes"]
    # /api/log/bind, bindings, content, read
    log = served.queue_root / "exp" / "logs" / "train.log"
    log.write_text("step 1\nstep 2\n")
    bound = json.dumps({"path": str(log), "pid": process["pid"]})
    assert ask(f"curl -X POST \"{HOST}/api/log/bind\" {JSON} '{bound}'")["size"] == 14
    assert [one["pid"] for one in ask(f'curl "{HOST}/api/log/bindings"')] == [process["pid"]]
    assert ask(f'curl "{HOST}/api/log/content?pid={process["pid"]}&offset=-7"')["content"] == "step 2\n"
    assert ask(f'curl "{HOST}/api/log/read?path={log}"')["size"] == 14
    assert ask(f'curl -X POST "{HOST}/api/scheduler/stop/{process["pid"]}"')["what"] == "done"
    assert ask(f'curl -X POST "{HOST}/api/scheduler/stop/{multi["pid"]}"')["tasks"] == 1
    assert ask(f'curl -X POST "{HOST}/api/scheduler/single/start?config_index=0"')["tasks"] == 1
    assert ask(f'curl -X POST "{HOST}/api/scheduler/single/stop"')["stopped"] == 1
    assert ask(f'curl -X DELETE "{HOST}/api/commands/multi/1"')["index"] == 1
    assert ask(f'curl "{HOST}/api/scheduler/running"') == []
    # What a browser may have sent, and what names another host, needs the token
    for header in (
        "Origin: http://localhost:29214",
        "Sec-Fetch-Site: none",
        "Cookie: a=b",
        "X-Forwarded-For: 10.0.0.1",
    ):
        ask(f"curl -X DELETE -H '{header}' \"{HOST}/api/commands/multi/0\"", 401)
    ask(f'curl -X DELETE -H "Host: example.org" "{HOST}/api/commands/multi/0"', 421)
    ask(f"curl -X PUT \"{HOST}/api/commands/multi?config_index=0\" -d '{text}'", 415)
    assert (Path(served.queue_root) / "exp" / "jobfiles" / "command_gpus.txt").exists()
