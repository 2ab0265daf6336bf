"""Dead nodes are forgotten, old tasks cleaned away; and what hinders that."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doors.door import Door
from tests.shell.helpers import Spool

NODE = "n1-00000001"
PEER = "n2-00000002"

# -- forget


def test_the_tries_of_a_forgotten_node_are_lost_and_it_is_put_away(door: Door, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    full, ended = spool.add(f"running/{NODE}", "train.sh"), spool.add(f"running/{NODE}", "ended.sh")
    first, second = spool.names(f"running/{NODE}")
    os.rename(spool.path / "running" / NODE / second, spool.path / "running" / NODE / f"{second}=0")
    (spool.path / "running" / NODE / "node").touch()
    assert (first.startswith(full), second.startswith(ended)) == (True, True)
    assert door.forget(NODE, force=True).ok
    assert spool.names(f"running/{NODE}") == [f"{first}=255-lost", f"{second}=0", "node"]
    assert spool.names("nodes/gone") == [f"{NODE}.json", f"{NODE}.tsv", f"{NODE}.why"]
    assert (spool.path / "nodes/gone" / f"{NODE}.why").read_text() == f"alice@{os.uname().nodename}\n"
    assert spool.names("nodes") == ["gone"]


def test_a_node_that_gave_a_sign_of_life_is_forgotten_by_force_only(door: Door, spool: Spool) -> None:
    spool.node(NODE, age_s=20)
    spool.add(f"running/{NODE}", "train.sh")
    before = spool.names(f"running/{NODE}")
    told = door.forget(NODE)
    assert (told.ok, "gave a sign of life 2" in told.words) == (False, True)
    assert (spool.names(f"running/{NODE}"), spool.names("nodes/gone")) == (before, [])
    assert door.forget(NODE, force=True).ok


def test_so_is_one_whose_task_gives_signs_of_life(door: Door, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    full = spool.add(f"running/{NODE}", "train.sh")
    then = time.time() - 700
    (claim,) = spool.names(f"running/{NODE}")
    os.utime(spool.path / "running" / NODE / claim, (then, then))  # it was just claimed: its ctime tells
    told = door.forget(NODE)
    assert (told.ok, f"train.sh ({full[23:29]}) gave a sign of life" in told.words) == (False, True), told
    assert (spool.names(f"running/{NODE}"), spool.names("nodes/gone")) == ([claim], [])


@pytest.mark.parametrize("there", ["dead", "stopped", "no page"])
def test_a_dead_node_without_tasks_goes_with_its_directory(door: Door, spool: Spool, there: str) -> None:
    if there != "no page":
        spool.node(NODE, age_s=700 if there == "dead" else 0, state="serving" if there == "dead" else "stopped")
    (spool.path / "running" / NODE).mkdir()
    (spool.path / "running" / NODE / "node").touch()
    assert door.forget(NODE).ok
    assert spool.names("running") == []
    if there != "no page":
        told = door.forget(NODE)
        assert (told.ok, "was put away already" in told.words) == (False, True)


def test_a_part_of_a_nodes_name_will_do_where_it_is_one_nodes(door: Door, spool: Spool) -> None:
    spool.node(NODE, age_s=700)
    spool.node(PEER, age_s=700)
    assert "fits 2 nodes" in door.forget("n").words
    for text in ("n7", "..", "../pending", "gone"):
        assert not door.forget(text).ok
    assert door.forget("n1").ok
    assert spool.names("nodes/gone") == [f"{NODE}.json", f"{NODE}.tsv", f"{NODE}.why"]


# -- clean


def test_clean_forgets_a_task_with_all_that_is_known_of_it(door: Door, spool: Spool) -> None:
    full, other = spool.add("done", "train.sh"), spool.add("failed", "bad.sh")
    waiting = spool.add("pending", "later.sh")
    for suffix in ("", ".try2.abcdef", ".try12.000000"):
        spool.log(full, "x", suffix)
    for suffix in (".try1.abcdef", ".tries"):
        (spool.path / "records" / f"{full[4:]}{suffix}.json").write_text("{}")
    (spool.path / "calls").mkdir()
    never = "20251123T014415123-4f0c2a-never.call"
    for name in (f"{full[4:]}.call", f"{full[4:]}.result", f"{waiting[4:]}.call", never, "notes.call"):
        (spool.path / "calls" / name).touch()
    stranger = spool.path / "records" / "README.json"
    stranger.write_text("{}")
    then = time.time() - 30 * 86400
    os.utime(spool.path / "done" / full, (then, then))  # an old script that has just ended
    before = {name: spool.names(name) for name in ("done", "failed", "records", "logs")}
    assert door.clean("7d").ok
    told = door.clean("0s", dry_run=True)
    assert told.ok
    assert {name: spool.names(name) for name in before} == before
    assert door.clean("0").ok
    assert spool.names("done") + spool.names("failed") + spool.names("logs") == []
    assert spool.names("records") == sorted([f"{waiting[4:]}.json", "README.json"])
    assert other
    # What was written for a task that never came is left alone until it is a day old.
    assert spool.names("calls") == sorted([f"{waiting[4:]}.call", never, "notes.call"])
    door.later(2 * 86400)
    assert door.clean("30d").ok
    assert spool.names("calls") == sorted([f"{waiting[4:]}.call", "notes.call"])


@pytest.mark.parametrize("state", ["pending", f"running/{NODE}"])
def test_clean_keeps_what_a_task_still_asks_for(door: Door, spool: Spool, state: str) -> None:
    """Also one that runs: it may have to wait once more."""
    kept, gone = spool.add("done", "prepare.sh"), spool.add("done", "other.sh")
    spool.add(state, "train.sh", needs={"after": [kept[4:]]})
    assert door.clean("0").ok
    assert spool.names("done") == [kept]
    assert f"{gone[4:]}.json" not in spool.names("records")


def test_clean_touches_nothing_but_tasks(door: Door, spool: Spool, home: Path) -> None:
    (spool.path / "done" / "notes.txt").write_text("mine\n")
    (spool.path / "done" / "500-20261123T014415123-4f0c2a-dir.sh").mkdir()
    (spool.path / "failed" / "500-20261123T014415123-4f0c2a-link.sh").symlink_to(home)
    os.mkfifo(spool.path / "failed" / "500-20261123T014415123-4f0c2b-pipe.sh")
    before = spool.names("done") + spool.names("failed")
    assert door.clean("0").ok
    assert spool.names("done") + spool.names("failed") == before


def retried(spool: Spool, full: str, to: str, record: str) -> Callable[[], str]:
    """What somebody else does to a task in the moment before it is taken out of done/: words for a shell."""
    done, pending, records = (shlex.quote(str(spool.path / name)) for name in ("done", "pending", "records"))
    retry = f"mv {done}/{full} {pending}/{full}"
    if to == "pending":
        return lambda: retry
    tick = f"touch {records}/.a; until touch {records}/.b; [ {records}/.b -nt {records}/.a ]; do :; done"
    return lambda: f"{retry}; {tick}; echo '{{}}' >{records}/{record}; mv {pending}/{full} {done}/{full}"


@pytest.mark.parametrize("to", ["pending", "done"])
def test_a_task_that_is_retried_while_clean_is_at_work_keeps_everything(door: Door, spool: Spool, to: str) -> None:
    """Also one whose new try has ended by then: the rename that takes it out of done/ succeeds."""
    full, other = spool.add("done", "train.sh"), spool.add("done", "other.sh")
    spool.log(full, "x")
    new = f"{full[4:]}.try1.abcdef.json"
    with door.renaming(full, retried(spool, full, to, new), fails=False):
        assert door.clean("0").ok
    assert spool.names(to) == [full]
    assert f"{full[4:]}.json" in spool.names("records")
    assert (new in spool.names("records")) == (to == "done")
    assert spool.names("logs") == [f"{full[4:]}.log"]
    assert f"{other[4:]}.json" not in spool.names("records")
    assert spool.names("done") == ([full] if to == "done" else [])


def test_so_does_one_that_a_new_task_asks_for_in_that_moment(door: Door, spool: Spool) -> None:
    full, other = spool.add("done", "train.sh"), spool.add("done", "other.sh")
    later = spool.add("failed", "later.sh", needs={"after": [full[4:]]})
    place = shlex.quote(str(spool.path))
    with door.renaming(full, lambda: f"mv {place}/failed/{later} {place}/pending/{later}", fails=False):
        assert door.clean("0").ok
    assert spool.names("done") == [full]
    assert f"{full[4:]}.json" in spool.names("records")
    assert f"{other[4:]}.json" not in spool.names("records")


def test_what_a_clean_that_died_had_taken_is_finished_by_the_next_one(door: Door, spool: Spool) -> None:
    full, newer = spool.add("done", "train.sh"), spool.add("done", "newer.sh")
    (spool.path / "records" / f"{newer[4:]}.try1.abcdef.json").write_text("{}")
    taken = spool.path / "done" / f".removing-{time.time_ns() // 10**9}.000000000-0123456789ab"
    taken.mkdir()
    os.rename(spool.path / "done" / full, taken / full)
    stale = spool.path / "done" / ".removing-1000000000.000000000-ba9876543210"  # its task's try has ended since then
    stale.mkdir()
    os.rename(spool.path / "done" / newer, stale / newer)
    assert door.clean("7d").ok
    assert taken.exists(), "somebody may be at work on it"
    door.later(700)
    assert door.clean("7d").ok
    assert sorted(os.listdir(spool.path / "done")) == [newer]
    assert spool.names("records") == sorted([f"{newer[4:]}.json", f"{newer[4:]}.try1.abcdef.json"])


@pytest.mark.parametrize("age", ["soon", "", "-1"])
def test_clean_needs_an_age(door: Door, spool: Spool, age: str) -> None:
    full = spool.add("done")
    assert not door.clean(age).ok
    assert spool.names("done") == [full]
