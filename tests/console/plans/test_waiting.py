"""What waits or has ended: cancelled, queued again, moved forward; said before, done once, undone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from gpu_queue.spool.paths import SpoolPaths
from tests.console.plans.console import Console
from tests.shell.helpers import Spool


def keys(names: list[str]) -> list[str]:
    return [name[4:] for name in names]


def shown(plan: Any) -> list[tuple[str, str]]:
    return [(task["title"], task["does"]) for task in plan["tasks"]]


def test_a_plan_says_what_a_cancel_will_do_and_changes_nothing(console: Console, spool: Spool) -> None:
    first = spool.add("pending", "first.sh")
    spool.add("pending", "second.sh", needs={"after": [first[4:]]})
    done = spool.add("done", "done.sh")
    plan = console.plan("cancel", first[4:], done[4:])
    assert shown(plan) == [("first.sh", "cancel"), ("done.sh", "nothing")]
    assert plan["counts"]["cancel"] == 1
    assert plan["counts"]["dependents"] == 1
    assert plan["counts"]["nothing"] == 1
    assert (plan["must_confirm"], plan["can_undo"], plan["can_run"]) == (False, True, True)
    assert len(spool.names("pending")) == 2


def test_a_run_cancels_once_and_who_asks_again_is_told_the_same(console: Console, spool: Spool) -> None:
    names = [spool.add("pending", f"{number}.sh") for number in range(3)]
    other = spool.add("pending", "other.sh")
    plan = console.plan("cancel", *keys(names))
    outcome = console.run(plan)
    assert (outcome["state"], outcome["counts"]) == ("finished", {"done": 3})
    assert spool.names("failed") == names
    assert spool.names("pending") == [other]
    spool.move(names[0], "failed", "pending")
    assert console.run(plan) == outcome
    assert spool.names("pending") == sorted([names[0], other])


def test_an_undo_brings_back_exactly_those(console: Console, spool: Spool) -> None:
    before = spool.add("failed", "before.sh")
    names = [spool.add("pending", f"{number}.sh") for number in range(3)]
    plan, _ = console.do_it("cancel", *keys(names))
    undone = console.undo(plan)
    assert undone["counts"] == {"done": 3}
    assert spool.names("pending") == names
    assert spool.names("failed") == [before]
    assert console.undo(plan) == undone


def test_what_fails_with_a_cancelled_task_waits_again_with_it(console: Console, spool: Spool) -> None:
    first = spool.add("pending", "first.sh")
    second = spool.add("pending", "second.sh", needs={"after": [first[4:]]})
    third = spool.add("pending", "third.sh", needs={"after": [second[4:]]})
    own = spool.add("failed", "own.sh")
    plan, _ = console.do_it("cancel", first[4:])
    assert plan["counts"]["dependents"] == 2
    for name in (second, third):  # as an agent does
        spool.move(name, "pending", "failed")
    assert console.undo(plan)["counts"] == {"done": 3}
    assert spool.names("pending") == [first, second, third]
    assert spool.names("failed") == [own]


def test_thirty_one_failed_tasks_wait_again_at_their_old_priority_and_the_undo_cancels_what_still_waits(
    console: Console, spool: Spool
) -> None:
    names = [spool.add("failed", f"{number}.sh", priority=100 + number) for number in range(31)]
    plan = console.plan("retry", filter={"state": "failed"})
    assert (plan["counts"]["retry"], plan["must_confirm"], plan["can_undo"]) == (31, True, True)
    assert console.run(plan)["counts"] == {"done": 31}
    assert spool.names("pending") == sorted(names)
    spool.move(names[3], "pending", "running/n1-0")
    undone = console.undo(plan)
    assert undone["counts"] == {"done": 30, "gone": 1}
    assert undone["outcomes"][0]["where"] == "running/n1-0"
    assert len(spool.names("failed")) == 30


def test_a_cancelled_task_that_has_run_since_is_not_brought_back(console: Console, spool: Spool) -> None:
    name = spool.add("pending", "a.sh")
    plan, _ = console.do_it("cancel", name[4:])
    index = Path(SpoolPaths(str(spool.path)).tries_index(name[4:]))
    index.write_text("{}\n")
    os.utime(index, (time.time() + 5, time.time() + 5))  # as an agent writes it when the next try has ended
    undone = console.undo(plan)
    assert undone["counts"] == {"refused": 1}
    assert spool.names("failed") == [name]


def test_a_priority_tells_the_places_and_the_undo_gives_back_each_its_own(console: Console, spool: Spool) -> None:
    names = [spool.add("pending", f"{number}.sh", priority=500 + number, user="bo") for number in range(9)]
    chosen = [names[8], names[5], names[0]]
    plan = console.plan("priority", *keys(chosen), priority=500)
    assert [(task["title"], task["place"], task["place_after"]) for task in plan["tasks"]] == [
        ("8.sh", 8, 2),
        ("5.sh", 5, 1),
        ("0.sh", 0, 0),
    ]
    assert {task["user"] for task in plan["tasks"]} == {"bo"}
    assert plan["counts"]["priority"] == 2
    console.run(plan)
    assert [name[-4:] for name in spool.names("pending")[:3]] == ["0.sh", "5.sh", "8.sh"]
    assert {name[:3] for name in spool.names("pending") if name[4:] in keys(chosen)} == {"500"}
    (spool.path / "pending" / f"500-{names[8][4:]}").rename(spool.path / "pending" / f"001-{names[8][4:]}")
    undone = console.undo(plan)
    assert undone["counts"] == {"done": 1, "refused": 1}
    assert "changed" in undone["outcomes"][0]["why"]["text"]["en"]
    assert names[5] in spool.names("pending")
    assert f"001-{names[8][4:]}" in spool.names("pending")


def test_a_task_that_moved_on_between_plan_and_run_is_left_alone(console: Console, spool: Spool) -> None:
    started, changed, done, gone = (spool.add("pending", f"{name}.sh") for name in "abcd")
    drop = spool.path / "pending" / "by hand.sh"
    drop.write_text("true\n")
    plan = console.plan("cancel", *keys([started, changed, done, gone]), "by hand.sh")
    spool.move(started, "pending", "running/n1-0")
    (spool.path / "pending" / changed).rename(spool.path / "pending" / f"007-{changed[4:]}")
    spool.move(done, "pending", "done")
    (spool.path / "pending" / gone).unlink()
    outcome = console.run(plan)
    assert outcome["counts"] == {"done": 2, "gone": 3}
    told = {one["title"]: one["where"] for one in outcome["outcomes"]}
    assert told == {"a.sh": "running/n1-0", "b.sh": "failed", "c.sh": "done", "d.sh": "", "by hand.sh": "failed"}
    assert (spool.names("done"), len(spool.names("failed"))) == ([done], 2)


def test_hand_drops_with_any_name_are_cancelled_by_their_keys(console: Console, spool: Spool) -> None:
    raw = [b"caf\xe9.sh", b"a\nb.sh", b"\x1b[31m.sh", b"~7e.sh", b"500_x y.sh"]
    for name in raw:
        with open(os.fsencode(spool.path / "pending") + b"/" + name, "wb") as file:
            file.write(b"true\n")
    plan = console.plan("cancel", filter={"state": "waiting"})
    assert plan["counts"]["cancel"] == 5
    assert all(task["title"].isprintable() for task in plan["tasks"])
    assert console.run(plan)["counts"] == {"done": 5}
    assert (spool.names("pending"), len(spool.names("failed"))) == ([], 5)
    assert console.undo(plan)["counts"] == {"done": 5}
    assert len(spool.names("pending")) == 5


def test_tasks_that_are_nowhere_are_told_and_nothing_is_done(console: Console, spool: Spool) -> None:
    plan = console.plan("cancel", "20261123T014400001-abc001-x.sh", "../../etc/passwd", "a\nb")
    assert (plan["can_run"], plan["counts"]["nothing"]) == (False, 3)
    assert plan["warnings"][0]["code"] == "not_found"
    assert console.run(plan, status=409)["code"] == "nothing_to_do"


def test_a_wish_that_lacks_a_value_is_refused_with_its_name(console: Console) -> None:
    assert console.plan("priority", "x", status=422)["code"] == "no_priority"
    assert console.plan("submit", status=422)["code"] == "no_script"
    assert console.plan("forget", status=422)["code"] == "no_node"
    assert "tasksss" in str(console.plan("stop", "x", status=422, tasksss=[]))
    assert console.get("/plans/nothing", 404)["code"] == "no_such_plan"
