"""What either door publishes, and what both refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from gpu_queue import Spool as Face
from gpu_queue.errors import BadScript
from gpu_queue.spool.paths import parse_full, safe_name
from tests.cases import long
from tests.doors.door import Door, PythonDoor, a_script
from tests.shell.helpers import Spool


def record_of(spool: Spool, full: str) -> dict[str, object]:
    value = json.loads((spool.path / "records" / f"{full[4:]}.json").read_bytes().decode("utf-8", "surrogateescape"))
    assert isinstance(value, dict)
    return value


def nothing_is_left(spool: Spool) -> bool:
    return spool.names("pending") + spool.names("records") == []


def test_a_queue_for_which_an_agent_was_only_asked_for_yet_takes_tasks(door: Door, home: Path, root: Path) -> None:
    (root / "exp 1" / "allocations" / "20261129T185458188-3d54690bc4a1").mkdir(parents=True, mode=0o700)
    refused = door.pause()
    assert not refused.ok
    assert "an agent was asked for and has not begun yet" in refused.words
    assert door.publish(a_script(home, "train.sh")).ok
    assert (root / "exp 1" / "PROTOCOL").read_text() == "1\n"


def test_the_first_submission_makes_the_spool_closed_to_others(door: Door, home: Path, root: Path) -> None:
    before = os.umask(0o002)
    try:
        told = door.publish(a_script(home, "train.sh"))
    finally:
        os.umask(before)
    spool = Spool(root / "exp 1")
    assert told.ok, told
    assert (spool.path / "PROTOCOL").read_text() == "1\n"
    for directory in ("", "pending", "records", "nodes/gone", "gangs", "ledger", ".."):
        assert stat.S_IMODE((spool.path / directory).stat().st_mode) == 0o700, directory
    (full,) = spool.names("pending")
    assert told.names == (full,)
    assert stat.S_IMODE((spool.path / "pending" / full).stat().st_mode) == 0o600
    assert stat.S_IMODE((spool.path / "records" / f"{full[4:]}.json").stat().st_mode) & 0o777 == 0o600


def test_both_doors_write_the_same_record(door: Door, home: Path, spool: Spool) -> None:
    text = b"#GPUQ --gpus 2\r\npython train.py  \n\n x"
    told = door.publish(
        a_script(home, "train.sh", text), priority="7", memory="20G", queue="car", time="4h", retries="2"
    )
    (full,) = told.names
    parsed = parse_full(full)
    assert parsed is not None
    priority, task_id = parsed
    assert priority == 7
    assert (spool.path / "pending" / full).read_bytes() == text
    record = record_of(spool, full)
    assert list(record) == ["protocol", "id", "name", "path", "cwd", "user", "host", "submitted_at", "needs"]
    assert record == {
        "protocol": 1,
        "id": task_id,
        "name": "train.sh",
        "path": str(home / "train.sh"),
        "cwd": str(home),
        "user": "alice",
        "host": os.uname().nodename,
        "submitted_at": re.sub(r"(....)(..)(..)T(..)(..)(..).*", r"\1-\2-\3T\4:\5:\6Z", task_id[:18]),
        "needs": {"memory": "20G", "queue": "car", "time": "4h", "retries": "2"},
    }


@pytest.mark.parametrize(
    "name",
    [
        *(
            "训练 一.sh",
            "a\nb.sh",
            'quote".sh',
            "back\\slash.sh",
            "-rf",
            "x" * 200,
            "\udcff\udcfe.sh",
            "esc\x1b[31m.sh",
        ),
        *long("tab\there.sh", "x.tmp", "x~", "&.sh", "like.try1.abcdef", "] [.sh", "%s%d.sh", "\u2028.sh"),
    ],
)
def test_any_name_of_a_script_is_kept_in_the_record(door: Door, home: Path, spool: Spool, name: str) -> None:
    path = a_script(home, name)
    (full,) = door.publish(path).names
    assert full[30:] == safe_name(os.fsencode(name))
    assert (record_of(spool, full)["name"], record_of(spool, full)["path"]) == (name, path)


@pytest.mark.parametrize("content", ["x", "\n", " lead", "\\n %s \\", "é\n" * 1000, "z" * 1_500_000])
def test_a_script_arrives_byte_for_byte(door: Door, home: Path, spool: Spool, content: str) -> None:
    (full,) = door.publish(a_script(home, "s.sh", content)).names
    assert (spool.path / "pending" / full).read_bytes() == content.encode()


def test_a_link_to_a_script_is_the_submitters_own(door: Door, home: Path, spool: Spool) -> None:
    a_script(home, "real.sh", "echo real\n")
    (home / "link.sh").symlink_to("real.sh")
    (full,) = door.publish(str(home / "link.sh")).names
    assert full.endswith("-link.sh")
    assert (spool.path / "pending" / full).read_text() == "echo real\n"
    assert not (spool.path / "pending" / full).is_symlink()


def test_many_keep_their_order_and_what_comes_next_comes_behind(door: Door, home: Path, spool: Spool) -> None:
    names = [f"s{number:03d}.sh" for number in range(230)]
    told = door.publish(*(a_script(home, name, f"echo {name}\n") for name in names))
    last = door.publish(a_script(home, "a.sh"))
    assert (*told.names, *last.names) == tuple(spool.names("pending"))
    assert [full[30:] for full in told.names] == names
    assert len({full[4:22] for full in told.names}) == len(names)
    assert len(spool.names("records")) == len(names) + 1
    assert (spool.path / "pending" / told.names[9]).read_text() == "echo s009.sh\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "no such file"), (b"", "is empty"), (b"\x7fELF\x02\0\0", "binary"), (b"a\0b\n", "binary")]
    + [(b"#GPUQ --gpus many\n", "'many'"), (b"#GPUQ --gpu 2\n", "--gpu"), (b"#\n" * (9 << 20), "16777216")],
)
def test_nothing_is_published_if_one_script_is_wrong(
    door: Door, home: Path, spool: Spool, content: bytes | None, word: str
) -> None:
    good = a_script(home, "good.sh")
    bad = str(home / "bad.sh") if content is None else a_script(home, "bad.sh", content)
    told = door.publish(good, bad)
    assert not told.ok
    assert "bad.sh: " in told.words
    assert word in told.words.replace(",", "")  # one door groups the digits of a number
    assert nothing_is_left(spool)


def test_what_is_no_regular_file_is_refused_at_once(door: Door, home: Path, spool: Spool) -> None:
    (home / "folder").mkdir()
    os.mkfifo(home / "pipe")
    assert "is a directory" in door.publish(str(home / "folder")).words
    assert "is no regular file" in door.publish(str(home / "pipe")).words
    assert nothing_is_left(spool)


@pytest.mark.parametrize(
    ("option", "value"),
    [("gpus", "two"), ("gpus", "3-2"), ("gpus", "-1"), ("gpus", "2000"), ("memory", "much"), ("queue", "a/b")]
    + [("queue", ".a"), ("time", "soon"), ("retries", "-1"), ("retries", "99999"), ("priority", "1000")],
)
def test_an_option_that_nobody_can_obey_is_refused(
    door: Door, home: Path, spool: Spool, option: str, value: str
) -> None:
    script = a_script(home, "a.sh")
    told = door.publish(script, after=(), **{option: value})
    assert not told.ok
    assert value in told.words
    assert nothing_is_left(spool)


def test_after_names_exactly_one_task(door: Door, home: Path, spool: Spool) -> None:
    first, done = spool.add("pending", "prepare.sh"), spool.add("done", "old.sh")
    spool.add("done", "twin-1.sh")
    spool.add("done", "twin-2.sh")
    (spool.path / "pending" / "by-hand.sh").write_text("true\n")
    script = a_script(home, "a.sh")
    (full,) = door.publish(script, after=("prepare", done[4:])).names
    assert record_of(spool, full)["needs"] == {"after": [first[4:], done[4:]]}
    for after, word in (
        ("nothing", "is called"),
        ("twin", "fits 2 tasks"),
        ("by-hand", "dropped by hand"),
        ("", "which"),
    ):
        told = door.publish(script, after=(after,))
        assert (told.ok, word in told.words) == (False, True), told
    assert len(spool.names("records")) == 5


def test_a_record_that_no_agent_would_read_is_not_written(door: Door, home: Path, spool: Spool) -> None:
    """A task whose record is too large would run without waiting for anybody."""
    spool.add("done", "x" * 110)
    (first,) = spool.names("done")
    told = door.publish(a_script(home, "a.sh"), after=(first,) * 500)
    assert not told.ok
    assert spool.names("pending") == []
    assert len(spool.names("records")) == 1


def test_a_given_name_replaces_the_scripts(door: Door, home: Path, spool: Spool) -> None:
    (full,) = door.publish(a_script(home, "a.sh"), name="my run").names
    assert full.endswith("-my_run")
    assert record_of(spool, full)["name"] == "my run"


def test_a_script_that_says_nothing_asks_for_what_the_newest_agent_gives(
    door: Door, home: Path, spool: Spool
) -> None:
    spool.node("n1-00000001", default_gpus=3, age_s=20)
    spool.node("n2-00000002", default_gpus=4, age_s=200)
    told = door.publish(a_script(home, "a.sh"))
    assert told.ok
    if isinstance(door, PythonDoor):
        needs = door.face.submit("a.sh").needs
        assert needs is not None
        assert needs.gpus_min == 3
    else:
        assert "asks for 3 GPUs" in told.words


def test_a_rename_whose_reply_was_lost_has_published(door: Door, home: Path, spool: Spool) -> None:
    script = a_script(home, "a.sh")
    pending = spool.path / "pending"
    with door.renaming("pending/.", lambda: f"cd '{home}' && for f in {quoted(pending)}/.2*; do {LATE_MOVE}; done"):
        told = door.publish(script)
    assert told.ok, told
    assert [name for name in spool.names("pending") if not name.startswith(".")] == list(told.names)
    assert len(spool.names("records")) == 1


LATE_MOVE = 'n=${f##*/.}; /bin/mv "$f" "${f%/*}/500-$n"'


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


def test_a_rename_that_never_was_leaves_nothing_behind(door: Door, home: Path, spool: Spool) -> None:
    """And what came through is told."""
    with door.renaming("pending/.", lambda: "true"):
        told = door.publish(a_script(home, "a.sh"))
    assert not told.ok
    assert "so it is not queued" in told.words
    assert nothing_is_left(spool)


@pytest.mark.parametrize("protocol", ["2\n", "", "what\n"])
def test_a_spool_of_another_protocol_is_not_touched(door: Door, home: Path, spool: Spool, protocol: str) -> None:
    full = spool.add("pending")
    (spool.path / "PROTOCOL").write_text(protocol)
    before = sorted(os.listdir(spool.path / "records"))
    assert not door.publish(a_script(home, "a.sh")).ok
    assert not door.cancel(full).ok
    assert not door.pause().ok
    assert spool.names("pending") == [full]
    assert (sorted(os.listdir(spool.path / "records")), (spool.path / "paused").exists()) == (before, False)


@pytest.mark.parametrize("directory", ["records", "pending", "logs", "nodes"])
def test_a_submission_goes_in_although_somebody_has_removed_a_directory(
    door: Door, home: Path, spool: Spool, directory: str
) -> None:
    shutil.rmtree(spool.path / directory)
    told = door.publish(a_script(home, "a.sh"))
    assert told.ok, told
    assert (len(spool.names("pending")), len(spool.names("records"))) == (1, 1)


@pytest.mark.parametrize("directory", ["records", "pending"])
def test_what_stands_in_the_place_of_a_directory_is_named_and_not_a_full_storage(
    door: Door, home: Path, spool: Spool, directory: str
) -> None:
    shutil.rmtree(spool.path / directory)
    (spool.path / directory).write_text("mine\n")
    told = door.publish(a_script(home, "a.sh"), a_script(home, "b.sh"))
    assert not told.ok
    assert f"{directory} should be a directory" in told.words, told
    assert "full" not in told.words


def test_a_missing_directory_is_named_where_a_command_cannot_be_given(door: Door, spool: Spool) -> None:
    spool.node("n1-00000001")
    shutil.rmtree(spool.path / "control")
    told = door.shutdown()
    assert not told.ok
    assert "control is missing" in told.words, told
    assert "full" not in told.words


def test_only_a_submission_makes_a_spool(door: Door, root: Path) -> None:
    for told in (
        door.cancel("x"),
        door.pause(),
        door.stop("all") if not isinstance(door, PythonDoor) else door.drain(),
    ):
        assert not told.ok
        assert "there is no" in told.words
    assert not (root / "exp 1").exists()


def test_arguments_of_a_script_stand_in_its_record(home: Path, spool: Spool, root: Path) -> None:
    face = Face("exp 1", root)
    task = face.submit(a_script(home, "train.sh"), arguments=["configs/a b.py", "", "8"])
    record = record_of(spool, str(task))
    assert record["arguments"] == ["configs/a b.py", "", "8"]
    assert "arguments" not in record_of(spool, str(face.submit(a_script(home, "other.sh"))))


@pytest.mark.parametrize("wrong", ["--lr 1", ["a\0b"], [8], ["\ud800"], ["x" * 70_000]])
def test_arguments_that_no_script_can_have_are_refused(
    home: Path, spool: Spool, root: Path, wrong: list[str]
) -> None:
    with pytest.raises(BadScript, match="arguments"):
        Face("exp 1", root).submit(a_script(home, "train.sh"), arguments=wrong)
    assert nothing_is_left(spool)
