"""Cancel, retry, priority: one rename each, and what comes of it where others are faster."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.doors.door import Door
from tests.doors.test_publish import quoted
from tests.shell.helpers import Spool

NODE = "n1-00000001"


@pytest.mark.parametrize("name", ["{full}", "{id}", "{nonce}", "train", "ain.s", "{full}.try3.abcdef"])
def test_a_task_is_named_in_several_ways(door: Door, spool: Spool, name: str) -> None:
    full = spool.add("pending", "train.sh")
    spool.add("pending", "other.sh")
    assert door.cancel(name.format(full=full, id=full[4:], nonce=full[23:29])).ok
    assert spool.names("failed") == [full]
    assert len(spool.names("pending")) == 1


def test_a_name_that_fits_several_does_nothing(door: Door, spool: Spool) -> None:
    names = sorted(spool.add("pending", f"train-{number}.sh") for number in range(3))
    for told in (door.cancel("train"), door.stop("train"), door.priority("train", 7)):
        assert not told.ok
        assert "fits 3 tasks" in told.words
        assert all(name in told.words for name in names)
    assert spool.names("pending") == names


def test_a_name_that_fits_nothing_says_so(door: Door, spool: Spool) -> None:
    for told in (door.cancel("x"), door.retry("x"), door.priority("x", 5), door.explain("x"), door.stop("x")):
        assert (told.ok, "is called 'x'" in told.words) == (False, True), told


@pytest.mark.parametrize("name", ["train", "train.sh"])
def test_the_very_name_is_meant_before_a_part_of_others(door: Door, spool: Spool, name: str) -> None:
    spool.add("pending", "python_train.sh")
    full = spool.add("pending", "train.sh")
    spool.add("pending", "train.sh.old")
    (spool.path / "pending" / "my-train.sh").write_text("true\n")
    assert door.cancel(name).ok
    assert spool.names("failed") == [full]
    told = door.cancel("train")
    assert (told.ok, "has ended already" in told.words) == (False, True), "and not one of the three others"


def test_the_very_name_may_have_any_bytes_and_be_of_a_file_dropped_by_hand(door: Door, spool: Spool) -> None:
    spool.add("pending", "_.sh", name="再训练.sh")
    full = spool.add("pending", "_.sh", name="训练.sh")
    assert door.cancel("训练").ok
    assert spool.names("failed") == [full]
    for name in ("010_eval.sh", "re-eval.sh"):
        (spool.path / "pending" / name).write_text("true\n")
    assert door.priority("eval", 7).ok
    assert "007_eval.sh" in spool.names("pending")


def test_an_ended_task_of_the_very_name_saves_another_that_waits(door: Door, spool: Spool) -> None:
    waiting = spool.add("pending", "python_train.py")
    spool.add("done", "train.sh")
    assert "has ended already" in door.stop("train").words
    assert spool.names("pending") == [waiting]


def test_what_runs_is_not_cancelled(door: Door, spool: Spool) -> None:
    spool.add(f"running/{NODE}", "train.sh")
    for told in (door.cancel("train"), door.priority("train", 7)):
        assert (told.ok, f"runs already, on {NODE}" in told.words) == (False, True)
    assert len(spool.names(f"running/{NODE}")) == 1


@pytest.mark.parametrize("name", ["007_my train.sh", "500-\udcff.sh", "drop.sh", "abc", "-rf", "x y\nz.sh"])
def test_a_hand_drop_that_is_cancelled_gets_its_id_and_a_record(door: Door, spool: Spool, name: str) -> None:
    (spool.path / "pending" / name).write_text("echo x\n")
    assert door.cancel(name).ok
    (full,) = spool.names("failed")
    assert (spool.path / "failed" / full).read_text() == "echo x\n"
    has_priority = name[:3].isdigit()
    assert full[:4] == (f"{name[:3]}-" if has_priority else "500-")
    record = json.loads((spool.path / "records" / f"{full[4:]}.json").read_bytes().decode("utf-8", "surrogateescape"))
    assert record["id"] == full[4:]
    assert (record["name"], record["dropped_as"]) == (name[4:] if has_priority else name, name)
    assert spool.names("pending") == []


def test_a_claims_name_that_was_moved_back_is_its_tasks(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    moved_back = f"{full}.try1.abcdef=143-requeue"
    os.rename(spool.path / "pending" / full, spool.path / "pending" / moved_back)
    assert door.priority(full[4:], 7).ok
    assert spool.names("pending") == [f"007-{full[4:]}"]
    os.rename(spool.path / "pending" / f"007-{full[4:]}", spool.path / "pending" / moved_back)
    assert door.cancel("train").ok
    assert (spool.names("pending"), spool.names("failed"), spool.names("records")) == (
        [],
        [full],
        [f"{full[4:]}.json"],
    )


def test_stop_all_takes_a_claims_name_for_its_task(door: Door, spool: Spool) -> None:
    full, other = spool.add("pending", "train.sh"), spool.add("pending", "other.sh")
    os.rename(spool.path / "pending" / full, spool.path / "pending" / f"{full}.try1.abcdef")
    assert door.stop("all").ok
    assert (spool.names("pending"), spool.names("failed")) == ([], sorted([full, other]))


@pytest.mark.parametrize("kind", ["a directory", "a pipe", "a link", "a socket"])
@pytest.mark.parametrize("name", ["thing.sh", "500-20261123T014415123-4f0c2a-thing.sh"])
def test_what_is_no_regular_file_stays_in_pending(door: Door, spool: Spool, home: Path, kind: str, name: str) -> None:
    path = spool.path / "pending" / name
    if kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link":
        path.symlink_to(home)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    full = spool.add("pending", "train.sh")
    assert not door.cancel("thing.sh").ok
    assert not door.stop("thing.sh").ok
    door.stop("all")
    assert (spool.names("pending"), spool.names("failed")) == ([name], [full])


def test_a_cancelled_task_gives_its_serial_queue_free(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    queues = spool.path / "queues"
    (queues / "car.000001.free").write_text(f"{full[4:]}\n{NODE}\n0a0b0c\n")
    (queues / "car.000002").write_text(f"{full[4:]}\n{NODE}\n0a0b0c\n")
    (queues / "bus.000007").write_text(f"20261123T014400001-ffffff-x.sh\n{NODE}\n0a0b0c\n")
    (queues / "void.000001").write_bytes(b"\0" * 100)
    (queues / "dir.000001").mkdir()
    assert door.cancel("train").ok
    assert spool.names("queues") == ["bus.000007", "car.000001.free", "car.000002.free", "dir.000001", "void.000001"]


def test_retry_queues_again_under_the_same_name(door: Door, spool: Spool) -> None:
    full = spool.add("failed", "train.sh")
    others = [spool.add("failed", "x.sh") for _ in range(3)]
    done = spool.add("done", "train-2.sh")
    assert door.retry("train").ok
    assert door.retry("all").ok
    assert spool.names("pending") == sorted([full, *others])
    assert (spool.names("failed"), spool.names("done")) == ([], [done])
    assert door.retry("all").ok, "nothing has failed"
    assert not door.retry(done).ok


def test_priority_is_one_rename(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    assert door.priority("train", 7).ok
    assert door.priority("train", 7).ok
    assert spool.names("pending") == [f"007-{full[4:]}"]
    (spool.path / "pending" / "drop.sh").write_text("true\n")
    assert door.priority("drop", 20).ok
    (spool.path / "pending" / "030_drop.sh").write_text("another\n")
    told = door.priority("020_drop.sh", 30)
    assert (told.ok, "is there already" in told.words) == (False, True)
    assert spool.names("pending") == [f"007-{full[4:]}", "020_drop.sh", "030_drop.sh"]
    assert not door.priority("train", 1000).ok


@pytest.mark.parametrize("wish", ["cancel", "retry", "priority"])
def test_a_rename_whose_reply_was_lost_was_done(door: Door, spool: Spool, wish: str) -> None:
    full = spool.add("failed" if wish == "retry" else "pending", "train.sh")
    source = spool.path / ("failed" if wish == "retry" else "pending") / full
    target = {
        "cancel": spool.path / "failed" / full,
        "retry": spool.path / "pending" / full,
        "priority": spool.path / "pending" / f"007-{full[4:]}",
    }[wish]
    with door.renaming(full, lambda: f"/bin/mv {quoted(source)} {quoted(target)}"):
        told = door.priority(full, 7) if wish == "priority" else getattr(door, wish)(full)
    assert told.ok, told
    assert target.exists()


@pytest.mark.parametrize("wish", ["cancel", "priority"])
def test_a_task_that_starts_in_this_moment_runs_already(door: Door, spool: Spool, wish: str) -> None:
    full = spool.add("pending", "train.sh")
    (spool.path / "running" / NODE).mkdir()
    claim = spool.path / "running" / NODE / f"{full}.try1.abcdef"
    with door.renaming(full, lambda: f"/bin/mv {quoted(spool.path / 'pending' / full)} {quoted(claim)}"):
        told = door.priority(full, 7) if wish == "priority" else door.cancel(full)
    assert (told.ok, f"runs already, on {NODE}" in told.words) == (False, True), told
    assert claim.exists()


def test_a_rename_that_the_disk_refuses_changes_nothing(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    with door.renaming(full, lambda: "true"):
        told = door.cancel(full)
    assert (told.ok, "could not be moved" in told.words) == (False, True), told
    assert (spool.names("pending"), spool.names("failed")) == ([full], [])


@pytest.mark.parametrize("record", [b"", b"{", b"[1]", b"{" * 70000, b"x" * (50 << 20), None])
def test_a_broken_record_hinders_nothing(door: Door, spool: Spool, record: bytes | None) -> None:
    full = spool.add("pending", "_.sh", name="训练.sh")
    path = spool.path / "records" / f"{full[4:]}.json"
    path.unlink()
    if record is not None:
        path.write_bytes(record)
    assert not door.cancel("训练").ok
    assert door.priority(full, 7).ok
    assert door.cancel(full[4:]).ok
    assert door.retry("all").ok
    assert spool.names("pending") == [f"007-{full[4:]}"]


def test_a_directory_that_somebody_tidied_up_is_an_empty_one(door: Door, spool: Spool) -> None:
    full = spool.add("pending", "train.sh")
    (spool.path / "done").rmdir()
    (spool.path / "running").rmdir()
    (spool.path / "queues").rmdir()
    assert door.cancel("train").ok
    assert spool.names("failed") == [full]


def test_a_pattern_means_all_that_it_fits(door: Door, spool: Spool) -> None:
    seeds = [spool.add("pending", f"seed{number}.sh") for number in range(3)]
    odd, other = spool.add("pending", "_.sh", name="训练.sh"), spool.add("pending", "python-123456-seed.sh")
    assert door.cancel("seed[01]*").ok
    assert door.stop("训*").ok
    assert spool.names("pending") == [seeds[2], other]
    assert not door.cancel("nothing*").ok
    assert door.retry("*").ok
    assert spool.names("pending") == sorted([*seeds, odd, other])


def test_a_script_that_is_called_like_a_pattern_is_meant_by_its_name(door: Door, spool: Spool) -> None:
    spool.add("pending", "_.sh", name="*.sh")
    other = spool.add("pending", "other.sh")
    assert door.cancel("*.sh").ok
    assert spool.names("pending") == [other]


def test_explain_takes_the_newest_of_equal_names(door: Door, spool: Spool) -> None:
    for state, title in (("done", "train.sh"), ("failed", "train.sh"), ("done", "train.sh.bak")):
        spool.add(state, title)
    told = door.explain("train.sh")
    assert told.ok
    assert "is done" not in told.words, "the failed one is newer"
    assert not door.explain("trai").ok
