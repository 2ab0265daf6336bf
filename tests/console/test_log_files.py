"""Logs through the routes, whatever lies where a log is expected; files that are bound to tasks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_queue.console.logs.bindings import place_for
from gpu_queue.console.logs.opening import CannotRead, opened
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths
from tests.console.conftest import MakeClient
from tests.console.inside import Inside

ID = "20261123T014415123-7ad896-sft.sh"
PID = 0x7AD896
LOGS = f"/api/v1/spools/exp/tasks/{ID}/logs/latest"
SCRIPT = "#!/bin/bash\nexit 1\n"


@pytest.fixture
def log(queue_root: Path) -> Path:
    """The log of a task that failed; the test writes it."""
    (queue_root / "exp/failed" / f"500-{ID}").write_text(SCRIPT)
    return queue_root / "exp/logs" / f"{ID}.log"


@pytest.mark.parametrize(
    "content",
    [
        b"eval: 1%\r" * 200_000,
        b"x" * 100_000 + b"\n" + b"y" * 100_000,
        b"\x1b[31mred\x1b[",
        bytes(range(256)) * 40,
        b"\0" * 3000,
        b"\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\n<script>alert(1)</script>\n\xe2\x80\xaereversed\n",
        b"",
    ],
    ids=["bar", "columns", "half a colour", "no text", "NULs", "OSC and script", "empty"],
)
def test_windows_show_all_of_any_log_and_the_raw_one_is_its_bytes(client: Inside, log: Path, content: bytes) -> None:
    log.write_bytes(content)
    reply = client.get(f"{LOGS}/window?anchor=0&before=0&after=2000")
    assert reply.status_code == 200, reply.text
    found = reply.json()
    offset = 0
    for row in found["rows"]:
        assert row["o"] == offset
        assert len(row["t"].encode()) <= 3 * (16 << 10)
        offset += row["n"]
    assert offset == found["next"] == found["size_bytes"] == len(content)
    assert found["is_start"]
    assert found["is_end"]
    raw = client.get(f"{LOGS}/raw")
    assert raw.content == content
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["content-disposition"].startswith("attachment")


def test_hidden_updates_and_cut_text_are_had_by_asking_for_the_row(client: Inside, log: Path) -> None:
    log.write_bytes(b"1%\r50%\r100%\n" + b"z" * 20_000 + b"\n")
    bar, long = client.get(f"{LOGS}/window?anchor=0").json()["rows"]
    assert (bar["t"], bar["r"], long["c"]) == ("100%", 2, 20_000 - (16 << 10))
    assert client.get(f"{LOGS}/row?offset=0").json()["t"] == "1%\n50%\n100%"
    assert len(client.get(f"{LOGS}/row?offset={long['o']}").json()["t"]) == 20_000


def test_a_part_of_a_log_can_be_downloaded(client: Inside, log: Path) -> None:
    log.write_bytes(b"0123456789")
    for asked, expected in (("2-4", b"234"), ("7-", b"789"), ("-2", b"89"), ("8-99", b"89")):
        reply = client.get(f"{LOGS}/raw", headers={"Range": f"bytes={asked}"})
        assert (reply.status_code, reply.content) == (206, expected), asked
    begin = 10 - len(expected)
    assert reply.headers["content-range"] == f"bytes {begin}-9/10"
    assert client.get(f"{LOGS}/raw", headers={"Range": "bytes=10-"}).status_code == 416
    assert client.get(f"{LOGS}/raw", headers={"Range": "bytes=1-2,4-5"}).content == b"0123456789"


def a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [a_link, a_fifo, a_directory])
def test_what_is_no_file_in_the_place_of_a_log_is_not_read(
    client: Inside, log: Path, make: Callable[[Path], None]
) -> None:
    make(log)
    for path in ("window", "raw", "search?q=root", "row?offset=0"):
        reply = client.get(f"{LOGS}/{path}")
        assert reply.status_code in (403, 404), reply.text
        assert "root:" not in reply.text
        assert reply.json()["detail"]


def test_a_log_directory_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "logs/sub", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    (outside / "a.log").write_text("secret")
    (inside / "a.log").write_text("mine")
    place = place_for("sub/a.log", [str(tmp_path / "logs")])
    inside.rename(tmp_path / "away")
    inside.symlink_to(outside)
    with pytest.raises(CannotRead, match="link"), opened(place.root, place.below):
        pass


@pytest.mark.parametrize(
    "path",
    [
        "../config.yaml",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "out",
        "a\0b",
        ".",
        "fifo",
        "sub",
        "nothing.log",
    ],
)
def test_a_path_that_leads_elsewhere_or_to_no_file_is_refused(client: Inside, log: Path, path: str) -> None:
    (log.parent / "out").symlink_to("/etc/passwd")
    (log.parent / "sub").mkdir()
    os.mkfifo(log.parent / "fifo")
    log.write_text("x")
    reply = client.get("/api/log/read", params={"path": path})
    assert reply.status_code in (403, 404), reply.text
    assert reply.json()["code"] == "cannot_read"
    bound = client.post("/api/log/bind", json={"path": path, "pid": PID})
    assert bound.status_code == 422, bound.text
    assert client.get("/api/log/bindings").json() == []


def test_a_bound_file_is_what_the_document_reads_and_a_source_of_its_task(
    make_client: MakeClient, log: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "train.log").write_text("epoch 1 ü\n")
    log.write_text("own\n")
    client = make_client(log_roots=(str(folder),))
    assert client.get(f"/api/log/content?pid={PID}").json()["content"] == "own\n"
    made = client.post("/api/log/bind", json={"path": f"{folder}/train.log", "pid": PID})
    assert made.status_code == 200, made.text
    assert (made.json()["id"], made.json()["size"], made.json()["exists"]) == (ID, 11, True)
    assert client.get("/api/log/bindings").json() == [made.json()]
    found = client.get(f"/api/log/content?pid={PID}&offset=0&limit=9").json()
    assert (found["content"], found["next"]) == ("epoch 1 ", 8)
    assert client.get(f"/api/log/content?pid={ID}&offset=-3").json()["content"] == "ü\n"
    assert client.get(f"/api/v1/spools/exp/tasks/{ID}/logs/bound/window").json()["rows"][0]["t"] == "epoch 1 ü"
    assert client.get(f"/api/v1/spools/exp/tasks/{ID}").json()["logs"][-1]["source"] == "bound"
    (folder / "train.log").unlink()
    [gone] = client.get("/api/log/bindings").json()
    assert not gone["exists"]
    assert "not there" in gone["problem"]
    assert client.get(f"/api/log/content?pid={PID}").status_code == 404


def test_a_process_that_nobody_knows_is_told(client: Inside, log: Path) -> None:
    assert client.get("/api/log/content?pid=1").status_code == 404
    assert client.post("/api/log/bind", json={"path": "x", "pid": 1}).status_code == 404
    assert client.get(f"/api/log/content?pid={PID}").json()["code"] == "no_log"


def test_a_console_that_only_reads_binds_nothing(make_client: MakeClient, log: Path) -> None:
    log.write_text("x")
    reply = make_client(read_only=True).post("/api/log/bind", json={"path": str(log), "pid": PID})
    assert reply.status_code in (403, 404, 405)
    assert not (log.parent.parent / "jobfiles").exists()


def test_two_tasks_of_one_number_are_told_and_nothing_is_bound(queue_root: Path, client: Inside) -> None:
    make_spool(SpoolPaths(str(queue_root / "exp")))
    for title in ("a.sh", "b.sh"):
        (queue_root / "exp/pending" / f"500-20261123T014415123-7ad896-{title}").write_text(SCRIPT)
    reply = client.post("/api/log/bind", json={"path": "x", "pid": PID})
    assert reply.status_code == 409
    assert len(reply.json()["params"]["ids"]) == 2
