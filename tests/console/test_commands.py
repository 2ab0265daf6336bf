"""The paths of the user's own document about command files: ``/api/commands/…``, and queues that are written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.console.jobfiles.writing import CannotWrite, text_of_queues
from gpu_queue.console.models.seed import QueueIn
from gpu_queue.experiments.commandfiles.blocks import Mode
from gpu_queue.experiments.commandfiles.commands import parse_commands
from gpu_queue.spool.jobfiles import JobMode
from tests.console.inside import Inside

API = "/api/commands"
SINGLE = "1\npython a.py\n20\n\n2\nbash b.sh\n25\n\n1\npython c.py\n15.5\n"
MULTI = "1\ntorchrun a.py\necho second\n1-4\n20\n"


@pytest.fixture
def jobfiles(queue_root: Path) -> Path:
    made = queue_root / "exp" / "jobfiles"
    made.mkdir()
    (made / "command_gpu.txt").write_text(SINGLE)
    (made / "command_gpu_2.txt").write_text("1\npython a.py\nmuch\n")
    (made / "command_gpus.txt").write_text(MULTI)
    return made


def got(reply: httpx.Response, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json()


def test_the_configurations_of_a_mode_are_listed_and_gaps_stay(client: Inside, jobfiles: Path) -> None:
    found = got(client.get(f"{API}/single/list"))
    assert [(one["index"], one["name"], one["file"], one["tasks"], one["queues"]) for one in found] == [
        (0, "configuration 1", "command_gpu.txt", 3, 2),
        (2, "configuration 3", "command_gpu_2.txt", 0, 0),
    ]
    assert [one["line"] for one in found[1]["problems"]] == [3]
    assert found[0]["modified_at"] > 0
    whole = got(client.get(f"{API}/multi/all?job=exp"))
    assert (whole[0]["text"], whole[0]["tree"][0]["tasks"][0]["commands"]) == (
        MULTI,
        ["torchrun a.py", "echo second"],
    )
    assert got(client.get(f"{API}/single?config_index=0"))["text"] == SINGLE
    assert client.get(f"{API}/single?config_index=1").status_code == 404
    assert client.get(f"{API}/yaml/list").status_code == 422


@pytest.mark.parametrize(("mode", "file"), [("single", "command_gpu.txt"), ("multi", "command_gpus.txt")])
def test_a_tree_that_was_read_can_be_written_back(client: Inside, jobfiles: Path, mode: str, file: str) -> None:
    before = got(client.get(f"{API}/{mode}?config_index=0"))
    put = client.request(
        "PUT", f"{API}/{mode}?config_index=0", json={"queues": before["tree"], "etag": before["etag"]}
    )
    assert got(put)["problems"] == []
    after = got(client.get(f"{API}/{mode}?config_index=0"))
    assert after["text"] == (jobfiles / file).read_text() != before["text"]

    def meant(tree: Any) -> Any:
        wanted = ("commands", "gpus", "memory_gb")
        return [(one["queue"], [[task[name] for name in wanted] for task in one["tasks"]]) for one in tree]

    assert meant(after["tree"]) == meant(before["tree"])
    again = client.request("PUT", f"{API}/{mode}?config_index=0", json={"queues": [], "etag": before["etag"]})
    assert again.status_code in (412, 422)


def test_what_is_put_is_checked_and_made_of_either_text_or_queues(client: Inside, jobfiles: Path) -> None:
    path, where = jobfiles / "command_gpu.txt", f"{API}/single?config_index=0"
    queues = [{"queue": 3, "processes": [{"command": "python d.py", "memory_gb": 10}]}]
    got(client.request("PUT", where, json={"queues": queues}))
    assert path.read_text() == "# queue\n# command\n# memory in GB\n\n3\npython d.py\n10\n"
    for body in (
        {},
        {"text": "", "queues": []},
        {"queues": [{"queue": 1}]},
        {"queues": [{**queues[0], "left_out": 2}]},
    ):
        assert client.request("PUT", where, json=body).status_code == 422, body
    wrong = [
        {"queue": 1, "processes": [{"command": "a\nb", "memory_gb": 1}, {"command": " ", "memory_gb": 1, "gpus": 2}]}
    ]
    reply = client.request("PUT", where, json={"queues": wrong})
    assert (reply.status_code, len(reply.json()["params"]["problems"])) == (422, 3)
    assert client.request("PUT", where, json={"text": "1\nx\nmuch\n"}).json()["code"] == "bad_file"
    assert "d.py" in path.read_text()
    got(client.request("PUT", where, json={"text": "1\nx\nmuch\n", "draft": True}))
    assert path.read_text() == "1\nx\nmuch\n"
    assert client.request("PUT", where, json={"text": SINGLE, "etag": "0" * 24}).status_code == 412


def test_a_new_one_and_its_end(client: Inside, jobfiles: Path) -> None:
    assert got(client.post(f"{API}/single/new"), 201)["index"] == 3
    assert got(client.post(f"{API}/single/new", json={"from": 0}), 201)["index"] == 4
    assert (jobfiles / "command_gpu_4.txt").read_text() == SINGLE
    assert client.post(f"{API}/single/new", json={"from": 99}).status_code == 404
    assert got(client.request("DELETE", f"{API}/single/4"))["index"] == 4
    assert client.request("DELETE", f"{API}/single/4").status_code == 404
    assert got(client.post(f"{API}/multi/new", json={"text": MULTI}), 201)["index"] == 1


COMMANDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30
) | st.sampled_from(
    [
        "20",
        "1,20",
        "# no comment",
        '"quoted"',
        "'",
        "\\",
        "a \\",
        '[("a"]',
        "-1",
        "2，3",
        '"a" "b"',
        "python a.py # why",
    ]
)
PROCESSES = st.fixed_dictionaries(
    {
        "commands": st.lists(COMMANDS, min_size=1, max_size=3),
        "memory_gb": st.none() | st.floats(0, 1000).map(lambda one: round(one, 3)),
        "gpus": st.sampled_from([1, "2", "1-4"]),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, 10**9 - 1), st.lists(PROCESSES, min_size=1, max_size=3)), min_size=1, max_size=3
    )
)
def test_what_is_written_reads_back_to_the_same_or_is_refused(given_queues: Any) -> None:
    queues = [QueueIn.model_validate({"queue": number, "processes": many}) for number, many in given_queues]
    mode: JobMode = "multi"
    try:
        text = text_of_queues(mode, queues)
    except CannotWrite:
        text = ""
    commands = [line for _, many in given_queues for one in many for line in one["commands"]]
    assert bool(text) == all(line.strip() and not set("\n\r\0") & set(line) for line in commands)
    if not text:
        return
    blocks = parse_commands(text, Mode.MULTI).blocks
    assert [(one.queue, list(one.commands), one.memory_gb) for one in blocks] == [
        (number, [line.strip() for line in one["commands"]], one["memory_gb"] or 0.0)
        for number, many in given_queues
        for one in many
    ]
