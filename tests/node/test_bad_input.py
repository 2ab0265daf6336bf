"""Bad input, and what it gets: a reason that people see, and nothing else is disturbed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.config import resolve
from gpu_queue.errors import BadScript, SettingsError
from gpu_queue.node.kept import Kept
from gpu_queue.node.mailbox import Mailbox
from gpu_queue.policy import read_config
from gpu_queue.scripts.reader import read_needs
from gpu_queue.spool import files
from gpu_queue.spool.commands import command_for
from gpu_queue.spool.paths import SpoolPaths, full_name, is_skipped, parse_claim, parse_drop, parse_full, strip_claim
from gpu_queue.spool.records import MAX_TRY_NUMBER, read_submission, read_tries
from tests.node.harness import AT_ONCE, Node, Room, a_spool

IS_ROOT = os.geteuid() == 0
STRANGER = 12345
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away and mount")

ME = frozenset({os.geteuid()})


def serves_on(room: Room, node: Node) -> None:
    """Whatever lies in the spool, the next good task runs."""
    task = room.submit(room.script(), "good.sh", priority=999)
    node.settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 1)


# -- files that are no scripts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"\x7fELF\x02\x01\n", "binary"), (b"#!/bin/sh\necho \0\n", "binary")],
)
@pytest.mark.parametrize("by_hand", [True, False])
def test_what_is_no_script_fails_with_the_reason_in_its_log(
    room: Room, content: bytes, reason: str, by_hand: bool
) -> None:
    if by_hand:
        room.drop("x.sh", content)
    else:
        path = room.root / "pending" / full_name(500, room.submit(room.script(), "x.sh"))
        path.write_bytes(content)
    node = room.start()
    for _ in range(65):
        node.step()
    serves_on(room, node)
    (failed,) = room.listing("failed")
    assert reason in room.log(failed[4:])


def test_a_script_that_is_too_large_fails(room: Room) -> None:
    task = room.submit("#!/bin/sh\n")
    os.truncate(room.root / "pending" / full_name(500, task), (16 << 20) + 1)
    serves_on(room, room.start())
    assert "at most" in room.log(task)


def make_directory(path: Path) -> None:
    (path / "train.sh").parent.mkdir()
    (path / "train.sh").write_text("#!/bin/sh\n")


def make_socket(path: Path) -> None:
    # The path of a socket is short: it is bound by its name alone, elsewhere, and moved.
    short = tempfile.mkdtemp()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{short}/s")
    os.rename(f"{short}/s", path)
    os.rmdir(short)


def make_link(path: Path) -> None:
    script = path.parent.parent.parent / "real.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    path.symlink_to(script)


STRANGE: list[tuple[Callable[[Path], None], str]] = [
    (make_directory, "directory"),
    (lambda path: path.mkdir(), "directory"),
    (make_link, "symbolic link"),
    (lambda path: path.symlink_to("nowhere"), "symbolic link"),
    (lambda path: path.symlink_to("/"), "symbolic link"),
    (os.mkfifo, "FIFO"),
    (make_socket, "socket"),
]


@pytest.mark.parametrize(("make", "word"), STRANGE)
@pytest.mark.parametrize("name", ["train.sh", "500-20260101T000000000-abcdef-train.sh"])
def test_what_is_no_regular_file_is_left_where_it_is_and_explained(
    room: Room, make: Callable[[Path], None], word: str, name: str
) -> None:
    path = room.root / "pending" / name
    make(path)
    node = room.start()
    serves_on(room, node)
    assert os.path.lexists(path)
    assert room.listing("failed") == []
    assert word in node.reasons()[name]
    assert word in node.text()


def test_a_full_name_that_was_a_link_runs_once_it_is_a_file(room: Room) -> None:
    task = room.submit(room.script())
    path = room.root / "pending" / full_name(500, task)
    content = path.read_text()
    path.unlink()
    path.symlink_to("nowhere")
    node = room.start()
    node.settle_all()
    assert room.where(task) == ["pending"]
    path.unlink()
    path.write_text(content)
    node.settle_all()
    assert room.where(task) == ["done"]


@needs_root
def test_what_a_stranger_left_half_written_is_not_ours_to_remove(room: Room) -> None:
    ours, theirs = room.drop(".ours", "x"), room.drop(".theirs", "x")
    os.chown(theirs, STRANGER, STRANGER)
    room.start().spool.reader.sweep(os.stat(theirs).st_ctime + 25 * 3600)
    assert (ours.exists(), theirs.exists()) == (False, True)


# -- names --------------------------------------------------------------------------------------------------------

NAMES = [
    b"x" * 255,
    "数据".encode() * 40,
    b"\xff\xfe.sh",
    b"two\nlines.sh",
    b"quote'\".sh",
    b"$(touch pwned).sh",
    b"`touch pwned`;touch pwned",
    b"-rf",
    b"a=b",
    b"node",
    b"500-",
    b"20260101T000000000-abcdef-x",
    b"x.try1.abcdef",
    b"x.try1.abcdef=0",
    b"*",
    b"\\",
    b"~x",
    b"%s%n",
    b" ",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
def test_a_hand_drop_runs_whatever_its_name(room: Room, name: bytes) -> None:
    room.drop(name, room.script())
    node = room.start()
    node.settle_all()
    (done,) = room.listing("done")
    assert room.ran.read_text() == f"{done[4:]}\n"
    record = json.loads((room.root / "records" / f"{done[4:]}.json").read_bytes().decode("utf-8", "surrogateescape"))
    assert os.fsencode(record["dropped_as"]) == name
    serves_on(room, node)


def test_a_hand_drop_with_any_name_is_explained_while_it_waits(room: Room) -> None:
    for name in NAMES:
        room.drop(name, room.script(head="#GPUQ --gpus 8"))
    node = room.start()
    node.settle_all()
    assert len(node.reasons()) == len(NAMES)
    assert "needs 8 GPUs; this node serves 2" in node.text()


def test_editors_temporaries_are_counted_and_never_run(room: Room) -> None:
    for name in ["x~", ".x.swp", "x.tmp", "x.swp"]:
        room.drop(name, room.script())
    node = room.start()
    node.settle_all()
    assert not room.ran.exists()
    facts = json.loads(Path(room.paths.node_json("n1")).read_text()) if node.text() else {}
    assert facts["skipped"] == 4


# -- scripts that cannot be obeyed --------------------------------------------------------------------------------


def test_a_script_from_windows_runs(room: Room) -> None:
    task = room.submit(room.script("exit 0").replace("\n", "\r\n"))
    room.start().settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 1)
    assert "CR LF" in room.log(task)


@pytest.mark.parametrize(
    ("directive", "shown"),
    [
        ("--gpus lots", "'lots' is no number of GPUs"),
        ("--gpus 0-3", "'0-3' is no number of GPUs"),
        ("--gpu 2", "unknown option '--gpu'"),
        ("--time soon", "'soon' is no duration"),
        (f"--time {'9' * 400}", "more than a hundred years"),
        (f"--memory {'9' * 400}G", "more memory than there is"),
        (f"--gpus {'9' * 60000}", "is no number of GPUs"),
        ("--queue ../../etc", "is no queue's name"),
        ("--queue .hidden", "is no queue's name"),
        ("--retries -1", "whole number"),
        ("--gpus 'unclosed", "No closing quotation"),
        ("--gpus", "has no value"),
    ],
)
def test_an_impossible_directive_fails_the_task_with_a_short_reason(room: Room, directive: str, shown: str) -> None:
    task = room.submit(room.script(head=f"#GPUQ {directive}"))
    serves_on(room, room.start())
    assert (room.where(task), room.runs(task)) == (["failed"], 0)
    log = room.log(task)
    assert shown in log
    assert len(log) < 1000


@pytest.mark.parametrize(
    "line", [f"#SBATCH --time={'9' * 5000}", f"#SBATCH --time={'9' * 12}-00", f"#SBATCH --gpus={'9' * 5000}"]
)
def test_a_number_of_thousands_of_digits_stops_nobody(room: Room, line: str) -> None:
    task = room.submit(room.script(head=line))
    serves_on(room, room.start())
    assert room.runs(task) == 0


def test_a_task_that_needs_more_gpus_than_the_node_has_waits_and_says_so(room: Room) -> None:
    task = room.submit(room.script(head="#GPUQ --gpus 8"))
    node = room.start()
    serves_on(room, node)
    assert room.where(task) == ["pending"]
    assert node.reasons()[full_name(500, task)] == "needs 8 GPUs; this node serves 2"


def test_a_task_that_needs_too_much_fails_where_that_is_the_policy(room: Room) -> None:
    task = room.submit(room.script(head="#GPUQ --memory 200G"))
    serves_on(room, room.start(replace(AT_ONCE, infeasible="fail")))
    assert room.where(task) == ["failed"]
    assert "200G" in room.log(task)


def test_a_task_without_gpus_waits_on_a_node_without_slots_for_one_that_has_some(room: Room) -> None:
    task = room.submit(room.script(head="#GPUQ --gpus 0"))
    behind = room.submit(room.script(head="#GPUQ --gpus 2"))
    node = room.start(replace(AT_ONCE, cpu_slots=0))
    node.settle_all()
    assert (room.where(task), room.where(behind)) == (["pending"], ["done"])
    assert node.reasons()[full_name(500, task)] == "this node runs no tasks without GPU (cpu_slots: 0)"
    room.start(name="n2").settle_all()
    assert room.where(task) == ["done"]


# -- whose files run ----------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_strangers_script_never_runs_until_it_is_ours(room: Room, by_hand: bool) -> None:
    if by_hand:
        path = room.drop("x.sh", room.script())
    else:
        path = room.root / "pending" / full_name(500, room.submit(room.script(), "x.sh"))
    os.chown(path, STRANGER, STRANGER)
    node = room.start()
    serves_on(room, node)
    assert node.reasons()[path.name] == f"ignored: it belongs to uid {STRANGER}, who may not run tasks here"
    os.chown(path, 0, 0)
    node.settle_all()
    assert len(room.listing("done")) == 2


@needs_root
def test_a_strangers_record_and_command_are_not_read(room: Room) -> None:
    task = room.submit(room.script(head=""), gpus="0")
    os.chown(room.paths.record(task), STRANGER, STRANGER)
    (room.root / "control.json").write_text('{"command": "shutdown"}')
    os.chown(room.root / "control.json", STRANGER, STRANGER)
    node = room.start()
    serves_on(room, node)
    assert room.where(task) == ["done"]
    assert f"belongs to uid {STRANGER}" in room.log(task)
    assert any("control.json: it belongs to uid" in line for line in node.said)


@contextmanager
def as_user(uid: int) -> Iterator[Room]:
    base = Path(tempfile.mkdtemp())
    os.chown(base, uid, uid)
    os.seteuid(uid)
    try:
        with a_spool(base) as room:
            yield room
    finally:
        os.seteuid(0)
        shutil.rmtree(base)


@needs_root
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_script_that_cannot_be_read_fails_with_the_reason(by_hand: bool) -> None:
    with as_user(STRANGER) as room:
        if by_hand:
            path = room.drop("x.sh", room.script())
        else:
            path = room.root / "pending" / full_name(500, room.submit(room.script(), "x.sh"))
        path.chmod(0)
        node = room.start()
        node.settle_all()
        (failed,) = room.listing("failed")
        assert "cannot be read by the agent's user; chmod u+r it" in room.log(failed[4:])


@needs_root
def test_a_script_that_becomes_unreadable_while_it_waits_never_counts_as_done() -> None:
    with as_user(STRANGER) as room:
        task = room.submit(room.script())
        (room.root / "paused").touch()
        node = room.start()
        node.settle_all()
        (room.root / "pending" / full_name(500, task)).chmod(0)
        (room.root / "paused").unlink()
        node.settle_all()
        assert room.where(task) == ["failed"]
        assert "cannot be read" in room.log(task)


# -- records, indexes, config and node files ----------------------------------------------------------------------

GARBAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\0" * 100,
    b"\xff\xfe",
    b"[" * 60000,
    b'{"a":' * 10000,
    b"x" * 100_000,
    b"9" * 60000,
    b'{"protocol": 2}',
    b'{"protocol": NaN, "id": Infinity}',
    b'{"needs": [], "tries": 7, "seen": {"a": 1}, "name": 5, "cwd": [], "path": {}}',
    b'{"needs": null, "tries": null}',
    b'{"name": "\\ud800", "cwd": "/\\ud800", "path": "\\udfff/x.sh", "seen": ["\\ud800"]}',
    b'{"name": "a\\u0000b", "cwd": "/\\u0000", "path": "\\u0000"}',
    b'{"cwd": "relative", "name": "../../../etc/passwd", "path": "x\\ny"}',
]


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: repr(content[:40]))
def test_broken_records_indexes_and_node_files_cost_a_note_at_most(room: Room, content: bytes) -> None:
    task = room.submit(room.script())
    Path(room.paths.record(task)).write_bytes(content)
    Path(room.paths.tries_index(task)).write_bytes(content)
    Path(room.paths.node_json("n1")).write_bytes(content)
    room.start().settle_all()
    assert (room.where(task), room.runs(task)) == (["done"], 1)
    assert json.loads(Path(room.paths.node_json("n1")).read_text())["settled"] == {"done": 1, "failed": 0}


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_records_that_are_no_files_hang_nobody(room: Room, kind: str) -> None:
    task = room.submit(room.script("exit 3"))
    for path in (room.paths.record(task), room.paths.tries_index(task), room.paths.events("n1")):
        if os.path.lexists(path):
            os.unlink(path)
        if kind == "directory":
            os.mkdir(path)
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            os.symlink("/dev/zero", path)
    room.start().settle_all()
    assert (room.where(task), room.runs(task)) == (["failed"], 1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gpus", ["2"]),
        ("gpus", "lots"),
        ("gpus", 1e400),
        ("after", "../x"),
        ("after", [7]),
        ("time", {}),
        ("queue", "/"),
    ],
)
def test_a_record_that_asks_for_the_impossible_fails_its_task(room: Room, option: str, value: object) -> None:
    task = room.submit(room.script())
    Path(room.paths.record(task)).write_text(json.dumps({"id": task, "needs": {option: value}}))
    serves_on(room, room.start())
    assert room.where(task) == ["failed"]
    assert len(room.log(task)) > 20


@pytest.mark.parametrize("number", [0, -5, 10**9, 10**400, True, 1.5])
def test_an_index_with_an_impossible_number_makes_no_impossible_claim(room: Room, number: object) -> None:
    task = room.submit(room.script())
    index = {"tries": [{"try": number, "token": "0f0f0f", "status": 1, "why": None, "final": False}]}
    Path(room.paths.tries_index(task)).write_text(json.dumps(index))
    room.start().settle_all()
    assert room.where(task) == ["done"]
    assert [name for name in room.listing("records") if name.startswith(f"{task}.try1.")]


def test_a_command_that_cannot_be_obeyed_is_set_aside_with_the_reason(room: Room) -> None:
    node = room.start()
    for number, content in enumerate(GARBAGE):
        (room.root / "control" / f"20260101T0000000{number:02d}-abcdef.json").write_bytes(content)
    serves_on(room, node)
    assert [name for name in room.listing("control") if name.endswith(".json")] == []
    assert len([line for line in node.said if line.startswith("control/2026")]) == len(GARBAGE)
    assert max(map(len, node.said)) < 1000


def test_a_command_with_path_tricks_reaches_nothing_outside(room: Room) -> None:
    precious = room.base / "precious"
    precious.write_text("x")
    task = room.submit(room.script(head="#GPUQ --gpus 8"))
    command = {
        "protocol": 1,
        "nonce": "../../precious",
        "command": "stop",
        "to": ["n1/*", "n1/../.."],
        "from": "\x1b[2J\n[INFO] done",
        "claims": ["../../precious", "..", "/etc/passwd", "500-../../precious.try1.abcdef"],
        "names": ["../../precious", ""],
        "tasks": ["../../precious"],
    }
    (room.root / "control" / "20260101T000000000-abcdef.json").write_text(json.dumps(command))
    node = room.start()
    serves_on(room, node)
    assert precious.exists()
    assert room.where(task) == ["pending"]
    (ack,) = [name for name in room.listing("control") if name.endswith(".ack")]
    assert (room.root / "control" / ack).read_text() == "nothing of that runs here\n"
    assert all(line.isprintable() for line in node.said)


@pytest.mark.parametrize(
    "content",
    [
        b"default_gpus: [1, {}]\n",
        b"default_gpus: x\n",
        b"unknown: 1\n",
        b"a: &a [x,x]\nb: &b [*a,*a]\n",
        b"\0",
        b"- 1\n",
        b"{",
        b"retries: !!int ''\n",
        b"? [a]\n: b\n",
        b"!!python/object/apply:os.system ['touch pwned']\n",
    ],
)
def test_a_config_that_cannot_be_obeyed_keeps_the_last_good_one_and_says_so(room: Room, content: bytes) -> None:
    node = room.start()
    node.settle_all()
    Path(room.paths.config).write_bytes(content)
    serves_on(room, node)
    assert "the last good settings stay" in node.text()


# -- a full disk --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Room]:
    base = tmp_path / "small"
    base.mkdir()
    mounted = IS_ROOT and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(base)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        with a_spool(base) as room:
            room.ran = tmp_path / "ran"
            local = tmp_path / "local-n1"
            local.mkdir(mode=0o700)
            (base / "local-n1").symlink_to(local)
            yield room
    finally:
        subprocess.run(["umount", "-l", str(base)], check=True)


def fill(room: Room) -> Path:
    path = room.root / "ballast"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        file.writelines(b"x" * 4096 for _ in range(1000))
    return path


def start_on(room: Room) -> Node:
    base, room.base = room.base, room.ran.parent  # the node's own directory is on another disk
    try:
        return room.start()
    finally:
        room.base = base


def test_on_a_full_disk_tasks_are_claimed_run_and_settled_all_the_same(small_disk: Room) -> None:
    good, bad = small_disk.submit(small_disk.script()), small_disk.submit(small_disk.script("exit 3"))
    fill(small_disk)
    node = start_on(small_disk)
    node.settle_all()
    assert [small_disk.where(one) for one in (good, bad)] == [["done"], ["failed"]]
    assert [small_disk.runs(one) for one in (good, bad)] == [1, 1]


def test_a_hand_drop_on_a_full_disk_is_not_lost(small_disk: Room) -> None:
    small_disk.drop("x.sh", small_disk.script())
    ballast = fill(small_disk)
    node = start_on(small_disk)
    node.settle_all()
    ballast.unlink()
    node.settle_all()
    assert len(small_disk.listing("done")) == 1
    assert small_disk.ran.read_text().count("\n") == 1


def test_a_task_that_ends_while_the_disk_is_full_is_settled_at_once(small_disk: Room) -> None:
    gate = small_disk.ran.with_name("go")  # on a disk that has room
    end = f'until [ -e "{gate}" ]; do sleep 0.02; done'
    tasks = [small_disk.submit(small_disk.script(end, "#GPUQ --gpus 0 --queue car")) for _ in range(2)]
    node = start_on(small_disk)
    for _ in range(3):
        node.step()
    ballast = fill(small_disk)
    gate.touch()
    node.go_on(10)
    assert [small_disk.where(one) for one in tasks] == [["done"], ["pending"]], "a token takes space"
    ballast.unlink()
    node.go_on(20)  # a claim that storage refused is asked again after 2, 4, 8 … s
    assert [small_disk.where(one) for one in tasks] == [["done"], ["done"]]
    assert small_disk.ran.read_text().split() == tasks


# -- fuzzing: only the documented errors, and never for ever ------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(
    [
        "protocol",
        "id",
        "name",
        "path",
        "cwd",
        "needs",
        "tries",
        "try",
        "token",
        "status",
        "why",
        "final",
        "node",
        "seen",
        "nonce",
        "command",
        "to",
        "from",
        "claims",
        "tasks",
        "names",
        "wait",
        "gpus",
        "memory",
        "queue",
        "time",
        "after",
    ]
)
OBJECTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=8)
CONTENTS = st.one_of(
    st.binary(max_size=300),
    OBJECTS.map(lambda value: json.dumps(value).encode()),
    OBJECTS.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")),
)
ID = "20260101T000000000-abcdef-x.sh"
T = TypeVar("T")


def unless_refused(call: Callable[[], T], error: type[Exception], place: str = "") -> T | None:
    """The result, or None where it was refused as documented, each problem in few words, with the place."""
    try:
        return call()
    except error as refused:
        text = str(refused)
    assert all(len(line) < 600 and re.search(place, line) for line in text.splitlines() or [text])
    return None


fuzzed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@fuzzed
@given(content=CONTENTS)
def test_any_bytes_in_any_file_are_read_without_surprise(room: Room, content: bytes) -> None:
    paths, uids = room.paths, frozenset({os.geteuid()})
    for path in (paths.record(ID), paths.tries_index(ID), paths.node_json("n1"), paths.hand_command):
        Path(path).write_bytes(content)
    entry = room.root / "control" / "20260101T000000000-abcdef.json"
    entry.write_bytes(content)
    submission = read_submission(paths, ID, uids)
    files.encode_json({"name": submission.name, "cwd": submission.cwd}).decode("utf-8", "surrogateescape")
    os.fsencode(submission.cwd + submission.name + submission.path)
    assert all(1 <= one.number <= MAX_TRY_NUMBER for one in read_tries(paths, ID))
    files.encode_json({"seen": Kept(paths, "n1").seen_before()})
    unless_refused(lambda: read_needs(b"#!/bin/sh\n", submission.needs, 1), BadScript)
    mailbox = Mailbox(paths, "n1", "i", uids)
    for now in (0.0, 10.0):
        mail = mailbox.look(now)
        assert all(len(line) < 600 for line in mail.problems)


@fuzzed
@given(value=OBJECTS)
def test_any_command_is_obeyed_or_refused(value: dict[str, object]) -> None:
    unless_refused(lambda: command_for("n1", "i", "20260101T000000000-abcdef.json", value), files.FileProblem)


YAML = st.one_of(
    st.binary(max_size=100),
    st.text("abc:[]{}&*!?|>-'\"%@` \n0123456789.,#~", max_size=60).map(str.encode),
    st.builds(
        lambda key, value: f"{key}: {value}\n".encode(),
        st.sampled_from(["gpus", "retries", "keepalive", "poll", "lifetime", "auto_shutdown_hours", "allow_users"]),
        st.text("0123456789abcxef:._-+ []{}\"'!&*~", max_size=20) | st.integers().map(str) | st.floats().map(str),
    ),
)


@fuzzed
@given(content=YAML)
def test_any_config_is_obeyed_or_refused_with_its_place(room: Room, content: bytes) -> None:
    Path(room.paths.config).write_bytes(content)
    unless_refused(
        lambda: resolve({}, {}, read_config(room.paths.config, ME, is_shared=False)), SettingsError, r"config\.yaml"
    )


def test_a_config_whose_aliases_make_a_huge_value_is_refused_at_once(room: Room) -> None:
    lines = ["gpus:", "- &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    Path(room.paths.config).write_text("\n".join(lines))
    with pytest.raises(SettingsError, match=r"config\.yaml:2: gpus\[0\]: a list"):
        resolve({}, {}, read_config(room.paths.config, ME, is_shared=False))


DIRECTIVE = st.builds(
    lambda kind, option, value: f"#{kind} --{option} {value}",
    st.sampled_from(["GPUQ", "SBATCH"]),
    st.sampled_from(["gpus", "memory", "queue", "time", "retries", "gres=gpu:", "gpus-per-node"]),
    st.text(max_size=12) | st.integers().map(str) | st.from_regex(r"[0-9]{1,3}[GMhms:-][0-9]{0,3}", fullmatch=True),
)


@fuzzed
@given(lines=st.lists(DIRECTIVE | st.text(max_size=40), max_size=6), raw=st.binary(max_size=40))
def test_any_script_has_needs_or_is_refused(lines: list[str], raw: bytes) -> None:
    script = "\n".join(lines).encode("utf-8", "replace") + raw
    needs = unless_refused(lambda: read_needs(script, {}, 1), BadScript)
    assert needs is None or 0 <= needs.gpus_min <= needs.gpus_max


@given(st.text(max_size=300))
def test_any_name_is_parsed(name: str) -> None:
    for parse in (parse_claim, parse_full, strip_claim, is_skipped):
        parse(name)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return  # no file can have it
    priority, raw = parse_drop(name)
    assert 0 <= priority <= 999
    assert raw or not name


@fuzzed
@given(contents=st.lists(st.binary(max_size=80), max_size=4), names=st.lists(st.binary(max_size=30), max_size=4))
def test_any_files_in_pending_leave_the_agent_at_work(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], names: list[bytes]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        for raw, content in zip(names, contents, strict=False):
            name = raw.replace(b"/", b"_").replace(b"\0", b"_")
            if name not in (b"", b".", b"..") and not name.startswith(b"."):
                room.drop(name, b"#GPUQ --gpus 99\n" + content)
        node = room.start()
        for _ in range(5):
            node.step()
        assert not any("could not be looked at" in line for line in node.said)
        assert SpoolPaths(str(room.root)) == room.paths
