"""``uni_id.json``: two kinds of writers in one file, ours and scripts that rewrite it in place without a lock."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_queue.node import uni_ids as writer
from gpu_queue.node import watched
from gpu_queue.node.transitions import Settled
from gpu_queue.node.uni_ids import Told, UniIds
from gpu_queue.pids import here, process_of
from gpu_queue.spool import files
from gpu_queue.spool.paths import SpoolPaths, claim_name
from gpu_queue.spool.store import Moved
from gpu_queue.spool.uni_ids import MAX_BYTES, WRITTEN_MAX_BYTES, Entry, RunState, encode, entry_of
from gpu_queue.task import Abnormal, Claim, End, Settlement, State, Why
from gpu_queue.units import format_utc
from tests.node.outsiders import outsider, run_outsider

NODE = "n1-12345678"


def a_claim(number: int = 1, token: str = "abcdef", name: str = "train.sh") -> Claim:
    return Claim(500, f"20261123T014415123-4f0c2a-{name}", number, token)


class Writing:
    """A node that writes one file in the spool and one beside the scripts."""

    def __init__(self, base: Path, node: str = NODE) -> None:
        self.scripts = base / "scripts"
        self.paths = SpoolPaths(str(base / "spool"))
        for directory in (self.scripts / "script_process", base / "spool/records"):
            directory.mkdir(parents=True, exist_ok=True)
        self.own = Path(self.paths.uni_ids)
        self.other = self.scripts / "script_process/uni_id.json"
        self.places: tuple[str, ...] = (str(self.own), str(self.other))
        self.node = node
        self.files = UniIds(self.paths, node)
        self.live: dict[str, Entry] = {}
        self.now_s = time.time()
        self.said: list[str] = []
        self.problems: dict[str, str] = {}

    def begin(self, claim: Claim | None = None, pid: int | None = None) -> str:
        claim = claim or a_claim()
        pid = pid or os.getpid()
        entry = Entry(pid, retry_count=claim.number - 1, node=self.node, spool=self.paths.root)
        self.live[claim_name(claim)] = replace(entry, process=process_of(pid))
        return claim_name(claim)

    def write(self) -> Told:
        told = self.files.write(self.live, self.places, self.now_s)
        self.said += told.notes
        self.problems = dict(told.problems)
        return told

    def write_until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.write()
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"in vain; said {self.said}, {self.problems}")

    def end(self, claim: Claim | None = None, end: End = End(0)) -> None:  # noqa: B008
        claim = claim or a_claim()
        to = State.DONE if end.status == 0 else State.FAILED
        self.files.ended(claim, end, Settled(Moved.WON, Settlement(to, "as it was")))
        self.live.pop(claim_name(claim), None)

    def end_many(self, count: int, end: End) -> list[str]:
        claims = [a_claim(1, f"{number:06x}") for number in range(count)]
        for claim in claims:
            self.begin(claim)
        self.write()
        for claim in claims:
            self.end(claim, end)
        self.write()
        return [claim_name(claim) for claim in claims]

    def held(self, path: Path | None = None) -> dict[str, Any]:
        value = json.loads((path or self.own).read_text())
        assert isinstance(value, dict)
        return value


@pytest.fixture
def writing(tmp_path: Path) -> Writing:
    return Writing(tmp_path)


def test_a_try_is_written_in_the_form_of_the_documents_in_both_places(writing: Writing) -> None:
    name = writing.begin(a_claim(number=3))
    writing.write()
    for path in (writing.own, writing.other):
        entry = writing.held(path)[name]
        assert {key: entry[key] for key in ("pid", "state", "retry_count")} == {
            "pid": os.getpid(),
            "state": "running",
            "retry_count": 2,
        }
        assert "error_type" not in entry
        assert (entry["node"], entry["spool"]) == (NODE, writing.paths.root)
        assert entry["process"]["where"] == here()
    assert not writing.problems


def test_an_end_is_written_and_nothing_is_written_while_nothing_changes(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    writing.end()
    writing.write()
    entry = writing.held()[name]
    assert (entry["state"], entry["retry_count"]) == ("normal_exit", 0)
    assert entry["ended_at"]
    before = writing.own.stat()
    for _ in range(5):
        writing.write()
    assert writing.own.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    ("why", "error_type"),
    [(None, "unknown"), (Why.TIMEOUT, "timeout"), (Why.STOPPED, "signal"), (Why.LOST, "node_lost")],
)
def test_an_abnormal_end_has_its_error_type(writing: Writing, why: Why | None, error_type: str) -> None:
    name = writing.begin()
    writing.write()
    writing.end(end=End(1, why))
    writing.write()
    entry = writing.held()[name]
    assert (entry["state"], entry["error_type"]) == ("abnormal_exit", error_type)


def test_a_try_that_was_over_before_it_could_be_written_has_its_end_written(writing: Writing) -> None:
    writing.write()
    name = writing.begin()
    entries = dict(writing.live)
    writing.end()
    writing.files.write(entries, writing.places, writing.now_s)
    assert writing.held()[name]["state"] == "normal_exit"


def test_a_try_that_was_over_before_the_agent_had_looked_at_it_has_its_end_written_too(writing: Writing) -> None:
    writing.write()
    writing.end(a_claim(number=2))
    writing.write()
    writing.write()
    (entry,) = writing.held().values()
    assert (entry["pid"], entry["state"], entry["retry_count"]) == (0, "normal_exit", 1)


def test_what_an_outsider_overwrote_is_put_back_and_what_it_wrote_stays(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    writing.other.write_text(json.dumps({"exp001": {"pid": 1, "state": "running", "retry_count": 0}}))
    writing.write()
    held = writing.held(writing.other)
    assert held["exp001"] == {"pid": 1, "state": "running", "retry_count": 0}
    assert held[name]["state"] == "running"
    assert "exp001" not in writing.held(writing.own), "each file has the outsiders that write into it"


def test_an_end_that_an_outsider_turned_back_is_put_right(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    stale = writing.other.read_text()
    writing.end(end=End(1))
    writing.write()
    writing.other.write_text(stale)
    writing.write()
    assert writing.held(writing.other)[name]["state"] == "abnormal_exit"


def test_the_documents_snippet_says_how_its_try_ends_and_keeps_what_we_added(writing: Writing) -> None:
    name = writing.begin(a_claim(number=2))
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} running {os.getppid()} none")
    writing.write()
    for path in (writing.own, writing.other):
        entry = writing.held(path)[name]
        assert (entry["pid"], entry["state"], entry["retry_count"]) == (os.getppid(), "running", 1)
        assert entry["process"]["pid"] == os.getppid(), "its start is known, so that a later one of its pid is not it"
    run_outsider(writing.scripts, f"update_uni_id_status {name} abnormal_exit {os.getppid()} oom")
    assert writing.files.abnormal(name) == Abnormal("oom"), "before anything was written again"
    writing.write()
    assert writing.held()[name]["error_type"] == "oom"


def test_a_script_that_says_normal_exit_after_all_has_not_failed(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(
        writing.scripts,
        f"update_uni_id_status {name} abnormal_exit 101 oom; update_uni_id_status {name} normal_exit 101 none",
    )
    assert writing.files.abnormal(name) is None
    writing.write()
    assert writing.held()[name]["state"] == "normal_exit"


def test_the_word_of_a_script_survives_one_who_puts_older_content_back(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} running 101 none")
    writing.write()
    stale = writing.other.read_text()
    run_outsider(writing.scripts, f"update_uni_id_status {name} abnormal_exit 101 oom")
    writing.write()
    writing.other.write_text(stale)
    writing.write()
    assert writing.files.abnormal(name) == Abnormal("oom")
    assert writing.held(writing.other)[name]["state"] == "abnormal_exit"


def test_the_word_of_a_second_program_survives_what_was_written_of_the_first(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} running 101 none")
    writing.write()
    stale = writing.other.read_text()
    run_outsider(writing.scripts, f"update_uni_id_status {name} abnormal_exit 102 oom")
    writing.write()
    writing.other.write_text(stale)
    assert writing.files.abnormal(name) == Abnormal("oom")
    writing.write()
    assert writing.held(writing.other)[name]["pid"] == 102


def test_nothing_is_put_over_what_somebody_wrote_since_it_was_read(writing: Writing) -> None:
    file = watched.Watched(str(writing.other), writing.said.append)
    file.read()
    writing.other.write_text('{"exp001": 1}')
    assert not file.replace({"mine": 2})
    file.read()
    put_aside = writing.other.with_name("theirs")
    put_aside.write_text('{"exp001": 2}')
    put_aside.rename(writing.other)
    assert not file.replace({**file.found, "mine": 2})
    file.read()
    assert file.replace({**file.found, "mine": 2})
    assert writing.held(writing.other) == {"exp001": 2, "mine": 2}
    file.close()


def test_a_file_that_a_script_makes_while_we_make_it_is_not_put_over(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = writing.begin()
    write_new = files.write_new

    def somebody_is_quicker(path: str, content: bytes) -> None:
        write_new(path, content)
        if not writing.other.exists():
            writing.other.write_text('{"exp001": 1}')

    monkeypatch.setattr(files, "write_new", somebody_is_quicker)
    writing.write()
    assert set(writing.held(writing.other)) == {"exp001", name}


def test_a_second_program_of_the_same_script_begins_anew(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} abnormal_exit 101 oom")
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} running 102 none")
    writing.write()
    assert writing.files.abnormal(name) is None
    assert writing.held()[name]["state"] == "running"
    assert writing.held()[name]["pid"] == 102


def test_the_older_snippet_writes_a_bare_pid_which_reads_as_running(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(writing.scripts, f"note_bare {name} 4711; note_bare exp001 4712")
    writing.write()
    held = writing.held(writing.other)
    assert held["exp001"] == 4712, "what is not ours is left as it is"
    assert (held[name]["pid"], held[name]["state"], held[name]["retry_count"]) == (4711, "running", 0)
    assert entry_of(held["exp001"]) == Entry(4712)


def test_what_an_outsider_writes_into_the_file_that_was_just_replaced_is_not_lost(writing: Writing) -> None:
    first = writing.begin()
    writing.write()
    with writing.other.open("r+") as late:  # it has opened the file before we replace it …
        writing.begin(a_claim(2, "fedcba"))
        writing.write()
        assert os.fstat(late.fileno()).st_ino != writing.other.stat().st_ino, "the file was replaced"
        data = json.loads(late.read())
        data["exp001"] = {"pid": 1, "state": "running", "retry_count": 0}
        data[first] |= {"pid": 4711, "state": "abnormal_exit", "error_type": "oom"}
        late.seek(0)
        late.truncate()
        json.dump(data, late, indent=2)  # … and writes after that, where no name leads to any more
    assert writing.files.abnormal(first) == Abnormal("oom")
    told = writing.write()
    assert told.is_soon
    held = writing.held(writing.other)
    assert held["exp001"] == {"pid": 1, "state": "running", "retry_count": 0}
    assert held[first]["error_type"] == "oom"
    assert len(held) == 3


def test_real_scripts_lose_nothing_by_our_replacing_however_long_that_takes(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def slow(source: str, target: str) -> None:
        time.sleep(0.01)  # so long the storage takes: one in five of the scripts writes in that time
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    count, number = 12, 0
    writing.places = (str(writing.other),)
    each = "update_uni_id_status exp$i running $i none"
    with outsider(writing.scripts, f"for i in $(seq {count}); do {each}; done") as scripts:
        while scripts.poll() is None:
            claim = a_claim(1, f"{number:06x}")
            writing.begin(claim)
            writing.write()
            writing.end(claim)
            writing.write()
            number += 1
    writing.write_until(lambda: not writing.write().is_soon)
    held = writing.held(writing.other)
    assert {f"exp{i + 1}" for i in range(count)} <= held.keys()
    ours = [one for name, one in held.items() if not name.startswith("exp")]
    assert len(ours) == min(number, writer.KEPT_MAX)
    assert {one["state"] for one in ours} == {"normal_exit"}


def test_half_a_file_is_waited_for(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    inode = writing.other.stat().st_ino
    with writing.other.open("w") as file:
        file.write('{"exp001": {"pi')
        file.flush()
        assert writing.write().is_soon
        assert writing.other.stat().st_ino == inode, "nothing is replaced under somebody who writes"
        file.write('d": 1, "state": "running"}}')
    writing.write()
    held = writing.held(writing.other)
    assert set(held) == {"exp001", name}
    assert not writing.said


@pytest.mark.parametrize(
    "content",
    [b"", b'{"exp001": {"pid"', b"[1, 2]", b"\x00\xff\xfe\x80" * 100, b"null", b'{"a":' * 100_000],
    ids=["empty", "torn", "a list", "binary", "null", "deep"],
)
def test_a_damaged_file_is_set_aside_and_rebuilt(
    writing: Writing, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "DAMAGED_AFTER_S", 0.2)
    name = writing.begin()
    writing.other.write_text('{"exp001": 4711}')
    writing.write()
    writing.other.write_bytes(content)
    writing.write_until(lambda: writing.said)
    writing.write_until(writing.other.exists)
    assert writing.held(writing.other)[name]["state"] == "running"
    assert writing.held(writing.other)["exp001"] == 4711, "what was known of outsiders is there again"
    (aside,) = writing.other.parent.glob("uni_id.json.damaged-*")
    assert aside.read_bytes() == content
    assert "was set aside" in writing.said[0]
    assert aside.name in writing.said[0]


def test_a_file_without_end_is_set_aside_unread(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "DAMAGED_AFTER_S", 0.2)
    name = writing.begin()
    with writing.other.open("wb") as file:
        file.truncate(100 << 20)
    writing.write_until(lambda: writing.said)
    writing.write_until(writing.other.exists)
    assert set(writing.held(writing.other)) == {name}
    assert "100 MiB" in writing.said[0]


def test_of_damaged_files_the_newest_are_kept(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "DAMAGED_AFTER_S", 0.0)
    for number in range(20):
        (writing.other.parent / f"uni_id.json.damaged-20261101T0000000{number:02d}").write_text("old")
    (writing.other.parent / "uni_id.json.damaged-by-me").write_text("mine")
    writing.other.write_text("[]")
    writing.write_until(lambda: writing.said)
    assert len(list(writing.other.parent.glob("uni_id.json.damaged-2*"))) == watched.DAMAGED_MAX
    assert (writing.other.parent / "uni_id.json.damaged-by-me").exists()


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_regular_file_is_left_alone(writing: Writing, kind: str) -> None:
    writing.begin()
    target = writing.scripts / "precious"
    target.write_text("{}")
    if kind == "link":
        writing.other.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(writing.other)
    else:
        writing.other.mkdir()
    writing.write()
    (problem,) = writing.problems.values()
    assert str(writing.other) in problem
    assert "expected a regular file" in problem
    assert target.read_text() == "{}"
    assert len(writing.held()) == 1, "the one in the spool is written all the same"


def test_a_missing_directory_is_made_and_a_removed_file_written_anew(writing: Writing) -> None:
    name = writing.begin()
    writing.places = (str(writing.own), str(writing.scripts / "a/b/uni_id.json"))
    writing.write()
    Path(writing.places[1]).write_text('{"exp001": 1}')
    writing.write()
    Path(writing.places[1]).unlink()
    writing.write()
    assert set(writing.held(Path(writing.places[1]))) == {name}, "whoever removes it wants outsiders' records gone"


def test_one_file_by_two_names_is_one(writing: Writing) -> None:
    (writing.scripts / "link").symlink_to(writing.paths.root)
    writing.places = (str(writing.own), str(writing.scripts / "link/uni_id.json"))
    name = writing.begin()
    writing.write()
    before = writing.own.stat()
    writing.write()
    assert set(writing.held()) == {name}
    assert writing.own.stat().st_ino == before.st_ino


def test_a_full_disk_leaves_the_file_whole_and_is_told(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    first = writing.begin()
    writing.write()
    before = writing.own.read_bytes()

    def full(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_all", full)
        second = writing.begin(a_claim(2, "fedcba"))
        writing.write()
        assert "No space left on device" in writing.problems[str(writing.own)]
        assert writing.own.read_bytes() == before
        assert not list(writing.own.parent.glob(".uni_id*"))
    writing.write()
    assert set(writing.held()) == {first, second}
    assert not writing.problems


def test_what_a_killed_agent_left_beside_the_file_is_removed_when_it_is_old(writing: Writing) -> None:
    old, new = (writing.other.parent / f".uni_id.json.{one}" for one in ("0123456789ab", "ba9876543210"))
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    writing.begin()
    writing.write()
    assert (old.exists(), new.exists()) == (False, True)


def test_an_agent_that_is_killed_between_the_new_file_and_its_name_leaves_the_old_one(
    writing: Writing, tmp_path: Path
) -> None:
    name = writing.begin()
    writing.write()
    before = writing.own.read_bytes()
    child = os.fork()
    if child == 0:
        os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        writing.begin(a_claim(2, "fedcba"))
        writing.write()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert writing.own.read_bytes() == before
    (left,) = writing.own.parent.glob(".uni_id.json.*")
    os.utime(left, (0, 0))
    successor = Writing(tmp_path)
    successor.live = dict(writing.live)
    second = successor.begin(a_claim(2, "fedcba"))
    successor.write()
    assert set(successor.held()) == {name, second}
    assert not left.exists()


def test_normal_exits_are_kept_for_a_day(writing: Writing) -> None:
    name = writing.begin()
    writing.write()
    writing.end()
    writing.now_s += 23 * 3600
    writing.write()
    assert name in writing.held()
    writing.now_s += 2 * 3600
    writing.write()
    assert name not in writing.held()


def test_of_abnormal_exits_the_newest_are_kept(writing: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "KEPT_MAX", 5)
    writing.own.write_text('{"exp001": {"pid": 1, "state": "abnormal_exit"}}')
    names = writing.end_many(8, End(1))
    writing.now_s += 30 * 86400
    writing.write()
    assert set(writing.held()) == {"exp001", *names[-5:]}


def test_what_others_wrote_is_not_dropped_unless_the_file_is_too_large(writing: Writing) -> None:
    filling = {f"exp{number:05d}": {"pid": 1, "state": "normal_exit", "x": "y" * 1000} for number in range(5000)}
    keep = {"kept": {"pid": 1, "state": "running"}}
    writing.own.write_text(json.dumps({**keep, **filling}))
    name = writing.begin()
    writing.write()
    held = writing.held()
    assert writing.own.stat().st_size <= WRITTEN_MAX_BYTES
    assert {name, "kept", "exp04999"} <= set(held)
    assert "exp00000" not in held, "of those that have ended normally the oldest go first"
    assert "old records were dropped" in writing.said[0]


def test_a_successor_knows_what_its_predecessor_wrote(writing: Writing, tmp_path: Path) -> None:
    names = writing.end_many(3, End(1))
    successor = Writing(tmp_path)
    successor.write()
    successor.own.write_text("{}")
    successor.write()
    assert set(successor.held()) == set(names)


def test_a_try_whose_agent_was_killed_before_it_said_so_is_told_from_its_record(
    writing: Writing, tmp_path: Path
) -> None:
    claim = a_claim()
    name = writing.begin(claim)
    writing.write()
    record = {
        "protocol": 1,
        "id": claim.task_id,
        "try": 1,
        "token": claim.token,
        "status": 1,
        "to": "failed",
        "error_type": "oom",
    }
    Path(writing.paths.try_record(claim)).write_text(json.dumps(record))
    successor = Writing(tmp_path)
    successor.write()
    entry = successor.held()[name]
    assert (entry["state"], entry["error_type"]) == ("abnormal_exit", "oom")


def test_a_try_that_was_taken_over_has_the_word_that_its_script_wrote_elsewhere(
    writing: Writing, tmp_path: Path
) -> None:
    name = writing.begin()
    writing.write()
    run_outsider(writing.scripts, f"update_uni_id_status {name} abnormal_exit 101 oom")
    peer = Writing(tmp_path, "n2-87654321")
    peer.write()
    assert peer.files.abnormal(name) == Abnormal("oom")
    peer.end(end=End(255, Why.LOST))
    peer.write()
    assert peer.held()[name]["state"] == "abnormal_exit"


def test_two_nodes_put_back_what_one_loses_of_the_other(writing: Writing, tmp_path: Path) -> None:
    peer = Writing(tmp_path, "n2-87654321")
    mine, theirs = writing.begin(), peer.begin(a_claim(1, "fedcba"))
    writing.write()
    peer.write()
    assert set(writing.held()) == {mine, theirs}
    writing.own.write_bytes(encode({mine: writing.held()[mine]}))  # as if it had been replaced between two looks
    peer.write()
    writing.write()
    assert set(writing.held()) == {mine, theirs}
    writing.end()
    writing.write()
    writing.now_s += 25 * 3600
    peer.now_s += 25 * 3600
    peer.write()
    assert mine in writing.held(), "it is its owner's to drop"
    writing.write()
    assert set(writing.held()) == {theirs}


def test_agents_of_two_queues_on_one_node_share_a_file_and_leave_each_others_tries_alone(
    writing: Writing, tmp_path: Path
) -> None:
    other = Writing(tmp_path / "b")
    other.places = (str(other.own), str(writing.other))
    mine, theirs, over = (a_claim(1, token) for token in ("aaaaaa", "bbbbbb", "cccccc"))
    names = [writing.begin(mine), other.begin(theirs), other.begin(over)]
    writing.write()
    other.write()
    other.end(over, End(1))
    for _ in range(2):
        other.write()
        writing.write()
    held = writing.held(writing.other)
    assert [held[name]["state"] for name in names] == ["running", "running", "abnormal_exit"]
    before = writing.other.stat()
    other.write()
    writing.write()
    assert writing.other.stat().st_ino == before.st_ino, "they do not take turns for ever"


def test_normal_exits_of_nodes_that_are_gone_are_dropped_in_the_end(writing: Writing) -> None:
    entry = Entry(
        1, RunState.NORMAL, node="n2-87654321", spool=writing.paths.root, ended_at=format_utc(writing.now_s)
    )
    writing.own.write_bytes(encode({claim_name(a_claim()): entry.told()}))
    writing.begin(a_claim(1, "fedcba"))
    writing.write()
    assert len(writing.held()) == 2
    writing.now_s += 49 * 3600
    writing.write()
    assert len(writing.held()) == 1


def test_what_somebody_removes_stays_removed_and_what_a_blind_overwrite_took_does_not(writing: Writing) -> None:
    name = writing.begin()
    writing.own.write_text('{"exp001": 1, "exp002": 2}')
    writing.write()
    held = writing.held()
    del held["exp001"]
    writing.own.write_text(json.dumps(held))
    writing.write()
    assert set(writing.held()) == {"exp002", name}
    writing.own.write_text('{"exp003": 3}')  # the snippet, when it read the file while it was half written
    writing.write()
    assert set(writing.held()) == {"exp002", "exp003", name}


def test_records_that_make_no_sense_hinder_nothing(writing: Writing) -> None:
    name = writing.begin()
    odd = {name: [1], "exp001": None, "exp002": {"pid": True, "state": ["x"]}, "\udcff": float("inf"), "x" * 1000: {}}
    writing.own.write_text(json.dumps(odd))
    writing.write()
    held = writing.held()
    assert held[name]["state"] == "running"
    assert {key: value for key, value in held.items() if key != name} == {
        key: value for key, value in odd.items() if key != name
    }


def test_the_file_keeps_who_may_read_it(writing: Writing) -> None:
    writing.begin()
    writing.other.write_text("{}")
    writing.other.chmod(0o644)
    writing.write()
    assert writing.other.stat().st_mode & 0o777 == 0o644
    assert writing.own.stat().st_mode & 0o777 == 0o600


def test_another_agent_of_this_node_that_writes_is_waited_for(writing: Writing) -> None:
    writing.begin()
    writing.files.lock = lambda _: nullcontext(False)
    assert writing.write().is_soon
    assert not writing.own.exists()
    assert MAX_BYTES > WRITTEN_MAX_BYTES
