"""The policy over the wire: read, checked, saved where nobody else wrote, put back."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import READ, MakeClient
from tests.console.inside import Inside
from tests.shell.helpers import Spool

AT = "/api/v1/spools/exp/policy"
TEXT = "# ours\nretries: 2  # two\nlifetime: never\n"


@pytest.fixture
def config(queue_root: Path) -> Path:
    return queue_root / "exp" / "config.yaml"


def ask(client: Inside, method: str, path: str, status: int = 200, **body: Any) -> Any:
    reply = client.request(method, f"{AT}{path}", json=body) if body else client.request(method, f"{AT}{path}")
    assert reply.status_code == status, reply.text
    return reply.json()


def check(client: Inside, text: str, **more: Any) -> Any:
    return ask(client, "POST", "/check", text=text, **more)


def save(client: Inside, text: str, etag: str, status: int = 200, **more: Any) -> Any:
    return ask(client, "PUT", "", status, text=text, etag=etag, **more)


def test_where_there_is_no_file_all_is_at_its_default_and_the_first_save_makes_it(
    client: Inside, config: Path
) -> None:
    policy = ask(client, "GET", "")
    assert (policy["text"], policy["etag"], policy["exists"], policy["problems"]) == ("", "none", False, [])
    assert {one["value"] for one in policy["fields"]} == {None}
    checked = check(client, "", changes={"retries": 3, "keepalive.enabled": False})
    assert checked["text"] == "retries: 3\nkeepalive:\n  enabled: off\n"
    saved = save(client, checked["text"], "none")
    assert config.read_text() == checked["text"]
    # No mark of what agents make themselves, for in such a file who runs would not be said.
    assert stat.S_IMODE(config.stat().st_mode) & ~os_umask() == 0o644 & ~os_umask()
    undone = client.post(f"/api/v1/spools/exp/plans/{saved['plan']}/undo").json()
    assert undone["counts"] == {"done": 1}
    assert not config.exists()


def os_umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now


def test_a_file_is_changed_in_one_place_and_put_back_as_it_was(client: Inside, config: Path) -> None:
    config.write_text(TEXT)
    config.chmod(0o640)
    policy = ask(client, "GET", "")
    fields = {one["key"]: one for one in policy["fields"]}
    assert (fields["retries"]["value"], fields["retries"]["written"]) == ("2", 2)
    checked = check(client, policy["text"], changes={"retries": "5"})
    assert [(one["kind"], one["text"]) for one in checked["diff"]] == [
        ("same", "# ours"),
        ("removed", "retries: 2  # two"),
        ("added", "retries: 5  # two"),
        ("same", "lifetime: never"),
    ]
    assert checked["changes"] == [{"key": "retries", "was": "2", "now": "5", "when": "at_once"}]
    saved = save(client, checked["text"], policy["etag"])
    assert config.read_text() == TEXT.replace("2  #", "5  #")
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert saved["policy"]["etag"] not in (policy["etag"], "none")
    (action,) = client.get("/api/v1/spools/exp/actions").json()
    assert (action["summary"]["text"]["en"], action["can_undo"]) == ("policy: retries", True)
    client.post(f"/api/v1/spools/exp/plans/{saved['plan']}/undo")
    assert config.read_text() == TEXT
    assert [one.name for one in config.parent.iterdir() if one.name.startswith(".config")] == []


def test_what_somebody_else_wrote_is_neither_lost_nor_put_back_over(client: Inside, config: Path) -> None:
    config.write_text(TEXT)
    policy = ask(client, "GET", "")
    config.write_text("retries: 9\n")
    refused = save(client, "retries: 1\n", policy["etag"], 412)
    assert (refused["code"], config.read_text()) == ("written_since", "retries: 9\n")
    saved = save(client, "retries: 1\n", refused["params"]["etag"])
    config.write_text("retries: 7\n")
    undone = client.post(f"/api/v1/spools/exp/plans/{saved['plan']}/undo").json()
    assert undone["counts"] == {"refused": 1}
    assert undone["outcomes"][0]["why"]["code"] == "written_since"
    assert config.read_text() == "retries: 7\n"


def test_what_agents_refuse_is_saved_only_in_place_of_what_they_refuse_too(client: Inside, config: Path) -> None:
    config.write_text(TEXT)
    policy = ask(client, "GET", "")
    for force in (False, True):
        refused = save(client, "retries: x\n", policy["etag"], 422, force=force)
        assert (refused["code"], refused["params"]["can_force"]) == ("refused_policy", False)
        assert refused["params"]["problems"][0]["line"] == 1
    config.write_text("retires: 1\n")
    broken = ask(client, "GET", "")["etag"]
    assert save(client, "retires: 2\n", broken, 422)["params"]["can_force"] is True
    save(client, "retires: 2\n", broken, force=True)
    assert config.read_text() == "retires: 2\n"


def test_values_that_do_not_fit_those_of_others_need_a_second_word(client: Inside, config: Path) -> None:
    text = "stop_grace: 4m\n"
    (problem,) = check(client, text)["problems"]
    assert (problem["kind"], problem["key"], problem["line"]) == ("unfit", "stop_grace", 1)
    assert save(client, text, "none", 422)["code"] == "unfit_policy"
    save(client, text, "none", force=True)
    assert config.read_text() == text


def test_a_check_changes_nothing_and_tells_who_takes_what(client: Inside, config: Path) -> None:
    spool = Spool(config.parent)
    spool.node("gpu1")
    spool.node("gpu2", age_s=600)
    checked = check(client, "", changes={"retries": "3", "lifetime": "4h"})
    (agent,) = checked["agents"]
    assert (agent["title"], agent["takes"], agent["at_once"], agent["next_start"]) == (
        "gpu1",
        "at_once",
        ["retries"],
        ["lifetime"],
    )
    assert check(client, "", changes={"lifetime": "4h"})["agents"][0]["takes"] == "next_start"
    assert check(client, "retries: x\n")["agents"][0]["takes"] == "refuses"
    assert check(client, "# nothing\n")["agents"][0]["takes"] == "nothing"
    assert not config.exists()
    (refused,) = check(client, "a: [", changes={"retries": "3"})["refused"]
    assert (refused["key"], refused["code"]) == ("retries", "no_yaml")
    assert ask(client, "POST", "/check", 422, text="", changes={"retires": "3"})["code"] == "no_such_setting"


def test_a_check_compares_with_another_text_where_one_is_given(client: Inside, config: Path) -> None:
    config.write_text("retries: 9\n")
    checked = check(client, "retries: 9\n", base="retries: 2\n")
    assert [(one["key"], one["was"], one["now"]) for one in checked["changes"]] == [("retries", "2", "9")]


@pytest.mark.parametrize("kind", ["link", "directory", "fifo", "large"])
def test_what_is_no_file_that_agents_read_is_told_and_left_alone(client: Inside, config: Path, kind: str) -> None:
    other = config.with_name("other.yaml")
    other.write_text("retries: 1\n")
    if kind == "link":
        config.symlink_to(other)
    elif kind == "directory":
        config.mkdir()
    elif kind == "fifo":
        os.mkfifo(config)
    else:
        config.write_bytes(b"#" * (1 << 20))
    refused = ask(client, "GET", "", 409)
    assert refused["code"] == "unfit_file"
    assert "config.yaml" in refused["detail"]
    assert save(client, "retries: 2\n", "none", 409)["code"] == "unfit_file"
    assert other.read_text() == "retries: 1\n"


def test_bytes_that_are_no_text_are_told_and_utf_16_stays_what_it_is(client: Inside, config: Path) -> None:
    config.write_bytes(b"# caf\xe9\nretries: 1\n")
    policy = ask(client, "GET", "")
    assert (policy["is_exact"], policy["text"]) == (False, "# caf\ufffd\nretries: 1\n")
    assert policy["problems"][0]["kind"] == "refused"
    config.write_bytes("retries: 1\r\n".encode("utf-16"))
    policy = ask(client, "GET", "")
    assert (policy["is_exact"], policy["problems"]) == (True, [])
    made = check(client, policy["text"], changes={"retries": "2"})["text"]
    save(client, made, policy["etag"])
    assert config.read_bytes() == "retries: 2\r\n".encode("utf-16")


def test_texts_that_agents_cannot_read_are_not_saved(client: Inside) -> None:
    assert save(client, "#" + "é" * 40_000, "none", 422)["code"] == "too_large"
    # A half of a character can stand in JSON alone.
    reply = client.request(
        "PUT", AT, content=b'{"text": "# \\ud800", "etag": "none"}', headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422, reply.text


def test_a_console_that_only_reads_shows_it_and_has_no_way_to_change_it(make_client: MakeClient) -> None:
    for client in (make_client(read_only=True), make_client(token=READ)):
        assert ask(client, "GET", "")["etag"] == "none"
        assert client.request("PUT", AT, json={"text": "", "etag": "none"}).status_code in (403, 405)
