"""Job files over the wire: listed, read, checked, written, thrown away and taken back; whatever lies there."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gpu_queue.spool import files
from tests.console.conftest import READ, MakeClient
from tests.console.inside import Inside

FILES = "/api/v1/spools/exp/jobfiles"
SINGLE = "# two queues\n1\npython a.py --seed 1\n20\n\n2\nbash b.sh\n25\n\n1\npython c.py\n20\n"
BROKEN = "1\npython a.py\nmuch\n\nx\npython b.py\n20\n"


@pytest.fixture
def jobfiles(queue_root: Path) -> Path:
    made = queue_root / "exp" / "jobfiles"
    made.mkdir()
    return made


def got(reply: httpx.Response, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json()


def test_files_are_listed_by_mode_and_index_and_gaps_stay(client: Inside, jobfiles: Path) -> None:
    for name in ("command_gpu.txt", "command_gpu_3.txt", "command_gpus_1.txt"):
        (jobfiles / name).write_text(SINGLE if "gpus" not in name else "1\ntorchrun a.py\n1-4\n20\n")
    (jobfiles / "sweep.yaml").write_text("jobs:\n  a:\n    run: python a.py\n")
    (jobfiles / "command_gpu_10.txt").write_text(BROKEN)
    (jobfiles / "command_gpu_03.txt").write_text(SINGLE)
    (jobfiles / "notes.txt").write_text("not one")
    found = got(client.get(FILES))
    assert [(one["mode"], one["index"], one["tasks"], one["queues"]) for one in found["files"]] == [
        ("single", 0, 3, 2),
        ("single", 3, 3, 2),
        ("single", 10, 0, 0),
        ("multi", 1, 1, 1),
        ("yaml", "sweep", 1, 0),
    ]
    assert found["files"][1]["name"] == "configuration 4"
    assert [one["line"] for one in found["files"][2]["problems"]] == [3, 5]
    assert found["start_agents"] is False


def test_what_is_no_file_is_listed_with_the_reason_and_nothing_waits_for_it(client: Inside, jobfiles: Path) -> None:
    (jobfiles / "command_gpu.txt").symlink_to("/etc/passwd")
    os.mkfifo(jobfiles / "command_gpu_1.txt")
    (jobfiles / "command_gpu_2.txt").mkdir()
    with (jobfiles / "command_gpu_3.txt").open("wb") as file:
        file.truncate(1 << 40)
    (jobfiles / "command_gpu_4.txt").write_bytes(b"1\npython \xff.py\n20\n")
    (jobfiles / os.fsdecode(b"na\xefve\n.yaml")).write_text("jobs: 3\n")
    found = got(client.get(FILES))["files"]
    assert [(one["index"], one["problems"][0]["code"]) for one in found] == [
        (0, "not_a_file"),
        (1, "not_a_file"),
        (2, "not_a_file"),
        (3, "too_large"),
        (4, "encoding"),
        ("~6e61ef76650a", "parse"),
    ]
    for index in range(4):
        reply = client.get(f"{FILES}/single/{index}")
        assert (reply.status_code, reply.json()["code"]) == (422, "too_large" if index == 3 else "not_a_file")
        assert "root:" not in reply.text
    odd = got(client.get(f"{FILES}/single/4"))
    assert (odd["is_text"], odd["problems"][0]["line"]) == (False, 2)
    assert got(client.get(f"{FILES}/yaml/~6e61ef76650a"))["text"] == "jobs: 3\n"


def test_a_directory_that_is_a_link_is_neither_read_nor_written(
    client: Inside, queue_root: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "command_gpu.txt").write_text(SINGLE)
    (queue_root / "exp" / "jobfiles").symlink_to(elsewhere)
    assert client.get(FILES).json()["code"] == "not_a_directory"
    assert client.post(FILES, json={"mode": "single"}).json()["code"] == "not_a_directory"
    assert sorted(one.name for one in elsewhere.iterdir()) == ["command_gpu.txt"]


@pytest.mark.parametrize(
    "index",
    ["-1", "01", "x", "1000000", "%2e%2e", "..%2f..%2fconfig", "a%2fb", ".trash", "%00", "~2e2e2f61", "~00"],
)
def test_an_address_leads_to_no_other_file(client: Inside, jobfiles: Path, index: str) -> None:
    (jobfiles.parent / "config.yaml").write_text("a: 1\n")
    (jobfiles.parent / "a.yaml").write_text("a: 1\n")
    for mode in ("single", "multi", "yaml"):
        for method in ("GET", "DELETE"):
            assert client.request(method, f"{FILES}/{mode}/{index}").status_code in (404, 405), (mode, method)
        put = client.request("PUT", f"{FILES}/{mode}/{index}", json={"text": "", "draft": True})
        assert put.status_code in (404, 405)
    assert (jobfiles.parent / "config.yaml").read_text() == "a: 1\n"


def test_a_text_is_checked_as_it_would_be_loaded(client: Inside) -> None:
    found = got(client.post(f"{FILES}/check", json={"mode": "single", "index": 1, "text": SINGLE}))
    assert (found["problems"], found["tasks"], found["queues"]) == ([], 3, 2)
    first, second = found["tree"]
    assert (first["queue"], [one["commands"] for one in first["tasks"]]) == (
        "1",
        [["python a.py --seed 1"], ["python c.py"]],
    )
    assert re.fullmatch(r"command_gpu_1-[0-9a-f]{6}\.1", first["name"])
    assert [(one["line"], one["last_line"]) for one in first["tasks"]] == [(2, 4), (10, 12)]
    assert second["tasks"][0]["memory_gb"] == 25.0
    broken = got(client.post(f"{FILES}/check", json={"mode": "single", "text": BROKEN}))
    assert [(one["line"], one["code"]) for one in broken["problems"]] == [(3, "parse"), (5, "parse")]
    yaml = "jobs:\n  a:\n    gpus: many\n    run: python a.py\n"
    found = got(client.post(f"{FILES}/check", json={"mode": "yaml", "text": yaml}))
    assert [(one["line"], one["column"]) for one in found["problems"]] == [(3, 11)]
    assert found["problems"][0]["text"].startswith("jobs.a.gpus: expected") or "gpus" in found["problems"][0]["text"]


def test_what_is_saved_is_checked_first_and_a_draft_is_not(client: Inside, jobfiles: Path) -> None:
    made = got(client.post(FILES, json={"mode": "single", "text": SINGLE}), 201)
    assert (made["index"], made["file"]) == (0, "command_gpu.txt")
    path = jobfiles / "command_gpu.txt"
    reply = client.request("PUT", f"{FILES}/single/0", json={"text": BROKEN, "etag": made["etag"]})
    assert (reply.status_code, reply.json()["code"]) == (422, "bad_file")
    assert [one["line"] for one in reply.json()["params"]["problems"]] == [3, 5]
    assert path.read_text() == SINGLE
    kept = got(client.request("PUT", f"{FILES}/single/0", json={"text": BROKEN, "etag": made["etag"], "draft": True}))
    assert path.read_text() == BROKEN
    assert len(kept["problems"]) == 2
    reply = client.request("PUT", f"{FILES}/single/0", json={"text": SINGLE, "etag": made["etag"]})
    assert (reply.status_code, reply.json()["code"]) == (412, "changed")
    assert reply.json()["params"]["etag"] == kept["etag"]
    got(client.request("PUT", f"{FILES}/single/0", json={"text": SINGLE, "etag": kept["etag"]}))
    assert sorted(one.name for one in jobfiles.iterdir()) == ["command_gpu.txt"], "no dot-file is left"
    assert client.request("PUT", f"{FILES}/single/7", json={"text": SINGLE}).status_code == 404


def test_a_new_one_has_the_highest_index_and_one_more(client: Inside, jobfiles: Path) -> None:
    (jobfiles / "command_gpus_4.txt").write_text("1\na\n2\n20\n")
    assert got(client.post(FILES, json={"mode": "multi"}), 201)["index"] == 5
    assert got(client.post(FILES, json={"mode": "multi", "from_index": 4}), 201)["index"] == 6
    assert (jobfiles / "command_gpus_6.txt").read_text() == "1\na\n2\n20\n"
    for mode in ("single", "multi", "yaml"):
        made = got(client.post(FILES, json={"mode": mode}), 201)
        assert made["problems"] == [], "the example can be loaded"
    assert made["index"] == "experiment_1"
    assert got(client.post(FILES, json={"mode": "yaml", "name": "学习率"}), 201)["file"] == "学习率.yaml"
    assert client.post(FILES, json={"mode": "yaml", "name": "学习率"}).status_code == 409
    for name in ("a/b", ".hidden", "-rf", "", "a\nb", "x" * 101, ".."):
        assert client.post(FILES, json={"mode": "yaml", "name": name}).status_code == 422, name
    assert client.post(FILES, json={"mode": "multi", "from_index": 99}).status_code == 404
    assert client.post(FILES, json={"mode": "single", "name": "mine"}).status_code == 422


def test_on_a_full_disk_a_text_is_refused_by_its_name_and_the_old_one_stays(
    client: Inside, jobfiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = jobfiles / "command_gpu.txt"
    path.write_text(SINGLE)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write_all", full)
    refused = got(client.request("PUT", f"{FILES}/single/0", json={"text": SINGLE + "# more\n"}), 503)
    assert refused["detail"] == "command_gpu.txt: No space left on device; try again later"
    assert os.listdir(jobfiles) == ["command_gpu.txt"]
    assert path.read_text() == SINGLE


def test_one_that_was_deleted_can_be_taken_back(client: Inside, jobfiles: Path) -> None:
    path = jobfiles / "command_gpu.txt"
    for text in (SINGLE, SINGLE + "\n# later\n"):
        path.write_text(text)
        gone = got(client.request("DELETE", f"{FILES}/single/0"))
        assert not path.exists()
    assert client.request("DELETE", f"{FILES}/single/0").status_code == 404
    assert got(client.get(FILES))["trash"][0]["file"] == "command_gpu.txt"
    got(client.post(f"{FILES}/single/0/restore", json={"trash": gone["trash"]}))
    assert path.read_text().endswith("# later\n")
    assert client.post(f"{FILES}/single/0/restore").status_code == 409, "there is one of that name"
    path.unlink()
    got(client.post(f"{FILES}/single/0/restore"))
    assert path.read_text() == SINGLE
    assert client.post(f"{FILES}/single/1/restore").status_code == 404


def test_what_was_deleted_a_month_ago_is_gone(client: Inside, jobfiles: Path) -> None:
    (jobfiles / ".trash").mkdir()
    old = jobfiles / ".trash" / "1700000000-0123456789ab-command_gpu_9.txt"
    other = jobfiles / ".trash" / "mine.txt"
    for one in (old, other, jobfiles / "command_gpu.txt"):
        one.write_text(SINGLE)
    got(client.request("DELETE", f"{FILES}/single/0"))
    assert (old.exists(), other.exists()) == (False, True)


def test_who_may_only_read_changes_nothing_and_a_stranger_sees_nothing(
    make_client: MakeClient, jobfiles: Path
) -> None:
    (jobfiles / "command_gpu.txt").write_text(SINGLE)
    changes = [("POST", FILES), ("PUT", f"{FILES}/single/0"), ("DELETE", f"{FILES}/single/0")]
    reader, stranger, reading = make_client(READ), make_client(None), make_client(read_only=True)
    assert got(reader.get(f"{FILES}/single/0"))["text"] == SINGLE
    assert stranger.get(FILES).status_code == stranger.get("/api/commands/single/all").status_code == 401
    assert got(reading.get(FILES))["files"][0]["tasks"] == 3
    for method, path in changes:
        body = {"text": "", "draft": True} if method == "PUT" else {"mode": "single"} if method == "POST" else None
        for client, status in ((reader, 403), (stranger, 401), (reading, 403)):
            assert client.request(method, path, json=body).status_code == status, (method, path)
    assert (jobfiles / "command_gpu.txt").read_text() == SINGLE


def test_where_commands_run_is_said_and_kept(client: Inside, jobfiles: Path, tmp_path: Path) -> None:
    (jobfiles / "command_gpu.txt").write_text(SINGLE)
    assert got(client.get(f"{FILES}/single/0"))["work_dir"]["source"] == "home"
    config = jobfiles.parent / "config.yaml"
    config.write_text(f"work_dir: {tmp_path}\n")
    found = got(client.get(f"{FILES}/single/0"))["work_dir"]
    assert (found["source"], found["path"], found["is_there"]) == ("config", str(tmp_path), True)
    config.write_text('work_dir: "../.."\n')
    found = got(client.get(f"{FILES}/single/0"))["work_dir"]
    assert found["source"] == "home"
    assert "is relative to the files of a project" in found["text"]["en"]
    got(client.request("PUT", f"{FILES}/single/0", json={"text": SINGLE, "work_dir": "~/there"}))
    found = got(client.get(f"{FILES}/single/0"))["work_dir"]
    assert (found["source"], found["is_there"]) == ("file", False)
    asked = {"mode": "single", "index": 0, "text": SINGLE, "work_dir": "/tmp"}
    assert got(client.post(f"{FILES}/check", json=asked))["work_dir"]["source"] == "asked"
    for wrong in ("relative", "/a\0b"):
        assert client.post(f"{FILES}/check", json={**asked, "work_dir": wrong}).status_code == 422
    got(client.request("PUT", f"{FILES}/single/0", json={"text": SINGLE, "work_dir": ""}))
    assert got(client.get(f"{FILES}/single/0"))["work_dir"]["source"] == "home"
