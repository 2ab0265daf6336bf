"""What tries have taken of the memory that was promised to them."""

from __future__ import annotations

from gpu_queue.scheduling.promises import shown_bytes, taken_bytes
from gpu_queue.scheduling.tenancy import Tenant

UID = 1000


def process(pid: int, used: int | None, claim: str | None = None, *, uid: int = UID, filler: bool = False) -> Tenant:
    return Tenant(pid, pid, "python", uid, used, claim, is_python=True, is_filler=filler)


def test_a_try_has_taken_what_all_its_processes_have() -> None:
    there = [process(1, 10, "a"), process(2, 5, "a"), process(3, 7, "b"), process(4, 9), process(5, 3, "elsewhere")]
    assert taken_bytes(["a", "b", "quiet"], there, 34, {}) == {"a": 15, "b": 7, "quiet": 0}


def test_of_a_process_that_does_not_say_how_much_it_has_nobody_can_tell() -> None:
    assert taken_bytes(["a", "b"], [process(1, 10, "a"), process(2, None, "a"), process(3, 7, "b")], 40, {}) == {
        "b": 7
    }


def test_without_processes_a_try_that_is_alone_has_what_has_come_since_it_came() -> None:
    nobody: list[Tenant] | None
    for nobody in (None, []):  # some containers are shown none
        assert taken_bytes(["a"], nobody, 25, {"a": 10}) == {"a": 15}
        assert taken_bytes(["a"], nobody, 5, {"a": 10}) == {"a": 0}
        assert taken_bytes(["a"], nobody, 25, {}) == {}
        assert taken_bytes(["a"], nobody, None, {"a": 10}) == {}
        assert taken_bytes(["a", "b"], nobody, 25, {"a": 10, "b": 20}) == {}


def test_no_more_is_shown_of_a_promise_than_was_promised() -> None:
    there = [process(1, 30, "a"), process(2, 5, "b")]
    taken = taken_bytes(["a", "b", "whole"], there, 35, {})
    assert shown_bytes({"a": 20, "b": 20, "whole": None}, taken, there, 35) == {"a": 20, "b": 5}
    assert shown_bytes({"a": 20, "unknown": 20}, {"a": 3}, None, 3) == {"a": 3}


def test_what_was_freed_since_the_processes_were_looked_at_is_promised_again() -> None:
    there = [process(1, 30, "a"), process(2, 10, "b")]
    taken = taken_bytes(["a", "b"], there, 40, {})
    before = shown_bytes({"a": 30, "b": 10}, taken, there, 40)
    after = shown_bytes({"a": 30, "b": 10}, taken, there, 12)
    assert sum(before.values()) == 40
    assert sum(after.values()) == 12


def test_memory_of_others_is_nothing_that_tries_have_shown() -> None:
    there = [process(1, 30, "a"), process(2, 20, uid=7), process(3, 9, filler=True)]
    taken = taken_bytes(["a"], there, 30, {})
    # Used without the filler's: of 30 the stranger has 20, so that 20 of the 30 were freed.
    assert shown_bytes({"a": 30}, taken, there, 30) == {"a": 10}


def test_memory_that_was_read_before_the_processes_makes_nothing_free_twice() -> None:
    there = [process(1, 30, "a")]
    taken = taken_bytes(["a"], there, 0, {})
    assert shown_bytes({"a": 30}, taken, there, 0) == {"a": 0}
