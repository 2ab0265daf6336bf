"""What waits or has ended: cancelled, queued again, moved forward; said before, done once, undone."""

from __future__ import annotations

from typing import Any

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
