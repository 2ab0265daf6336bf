"""The whole API, asked what nobody thought of: by schemathesis, from the document that it gives of itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpu_queue import Script
from gpu_queue.console.access.deciding import House, Level, need_of
from gpu_queue.console.schema import schema
from gpu_queue.console.serving import ROUTERS
from tests.console.inside import Inside
from tests.console.served import Served

PROGRAM = os.path.join(os.path.dirname(sys.executable), "schemathesis")
STREAMS = "stream|follow"
"""They do not end."""
NOT_ASKED = "unsupported_method,positive_data_acceptance,missing_required_header,ignored_auth"
"""What belongs to ``/`` answers to GET alone; a task that waits accepts less than its schema; who needs no token is a
matter of the user."""


def ask_everything(served: Served, phases: str, examples: int, seed: int | None) -> None:
    made = served.spool().publish([Script(f"train{n}.sh", "#GPUQ --gpus 1\necho hello\n") for n in range(3)])
    # A path that leads to something, and one that leads to nothing.
    keys = json.dumps([made[0].id, "none"])
    # What is too much for a body (413) is not accepted either.
    refused = ", ".join(str(one) for one in (400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 421, 422, 428, 429))
    settings = (
        f"[checks.negative_data_rejection]\nexpected-statuses = [{refused}]\n"
        f'[parameters]\n"path.job" = "exp"\n"path.key" = {keys}\n"path.source" = "log"\n"path.index" = ["0", "7"]\n'
    )
    jobfiles = served.queue_root / "exp" / "jobfiles"
    jobfiles.mkdir()
    (jobfiles / "command_gpu.txt").write_text("1\npython a.py\n20\n")
    (jobfiles / "command_gpus.txt").write_text("1\npython a.py\n2\n20\n")
    (served.home / "schemathesis.toml").write_text(settings)
    words = ["run", f"{served.address}api/v1/openapi.json", "-H", f"Authorization: Bearer {served.token}"]
    words += ["--exclude-path-regex", STREAMS, "--exclude-checks", NOT_ASKED, "--phases", phases]
    words += ["--max-examples", str(examples), "--workers", "1", "--no-color", "--request-timeout", "30"]
    words += ["--continue-on-failure"]
    words += [] if seed is None else ["--seed", str(seed)]
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=served.home,
        env={**os.environ, "HOME": str(served.home)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
    assert "a fault" not in served.said()


def test_nothing_that_is_asked_for_is_a_fault(served: Served) -> None:
    ask_everything(served, "examples,fuzzing", 2, 1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nor_is_anything_of_much_more(served: Served) -> None:
    ask_everything(served, "examples,coverage,fuzzing", 40, None)


@pytest.mark.long
def test_the_document_is_the_same_for_the_same_code(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "gpu_queue.console.schema"]
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    printed = subprocess.run(words, capture_output=True, text=True, env=environment, check=True).stdout
    assert printed == schema()
    assert list(tmp_path.iterdir()) == []  # no token is made for it


def test_each_route_tells_what_it_is_for_and_what_goes_wrong() -> None:
    document = json.loads(schema())
    operations = [
        (path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()
    ]
    assert len(operations) >= sum(len(router.routes) for router in ROUTERS)
    for path, method, one in operations:
        where = f"{method} {path}"
        assert one.get("summary"), where
        assert "422" not in one["responses"], where
        assert "application/problem+json" in one["responses"]["default"]["content"], where
    assert "ProblemDetails" in document["components"]["schemas"]


def test_what_the_document_refers_to_stands_in_it() -> None:
    document = json.loads(schema())
    referred = set(re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document)))
    names = document["components"]["schemas"]
    assert [one for one in referred if one.removeprefix("#/components/schemas/") not in names] == []


def test_what_a_path_can_do_names_no_other_path(client: Inside) -> None:
    for path, method in (("new", "POST"), ("all", "GET"), ("list", "GET")):
        assert client.request("OPTIONS", f"/api/commands/single/{path}").headers["allow"] == method
        assert client.request("DELETE", f"/api/commands/single/{path}").status_code == 405


def test_a_priority_is_a_number_and_not_what_can_be_taken_for_one(client: Inside) -> None:
    for wrong in (False, True, "5", 1.5):
        asked = {"action": "submit", "options": {"priority": wrong}}
        assert client.post("/api/v1/spools/exp/plans", json=asked).status_code == 422


def test_each_route_needs_what_it_gives() -> None:
    """A new one is looked at here: what tasks print, and their scripts, are not for everybody who sees the state."""
    house = House(bound="127.0.0.1", own_uid=1000)
    for path, methods in json.loads(schema())["paths"].items():
        real = re.sub(r"\{[a-z]+\}", "x", path)
        for method in methods:
            need = need_of(method.upper(), real, house)
            if path in ("/access", "/healthz"):
                assert need is Level.OPEN, path
            elif method != "get":
                assert need is Level.CHANGE, path
            else:
                holds_texts = re.search(r"/(script|logs?|jobfiles|commands)(/|$)", path)
                assert need is (Level.TEXTS if holds_texts else Level.STATE), path
