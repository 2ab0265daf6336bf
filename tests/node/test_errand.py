"""An errand to the storage: one at a time of a kind, and what its failures mean is told as often as it should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gpu_queue.node.storage import Errand, Failed, StorageInline


@pytest.fixture
def storage() -> StorageInline:
    return StorageInline()


@pytest.fixture
def said() -> list[str]:
    return []


def fails() -> int:
    raise OSError(5, "broken")


def make(storage: StorageInline, call: Callable[[], int], errand: Errand[int]) -> None:
    assert errand.send(call)
    storage.deliver()


def test_one_of_a_kind_is_under_way_and_the_next_may_go_when_it_is_back(
    storage: StorageInline, said: list[str]
) -> None:
    errand: Errand[int] = Errand(storage, "look", said.append)
    came: list[int | Failed] = []
    assert errand.send(lambda: 1, came.append)
    assert errand.is_out()
    assert not errand.send(lambda: 2, came.append)
    storage.deliver()
    assert (came, errand.is_out()) == ([1], False)
    assert errand.send(lambda: 3, came.append)
    storage.deliver()
    assert came == [1, 3]


def test_those_with_keys_go_side_by_side(storage: StorageInline, said: list[str]) -> None:
    errand: Errand[int] = Errand(storage, "claim", said.append)
    assert errand.send(lambda: 1, key="a")
    assert errand.send(lambda: 2, key="b")
    assert not errand.send(lambda: 3, key="a")
    assert (errand.is_out("a"), errand.is_out("c"), errand.is_out()) == (True, False, True)
    storage.deliver()
    assert not errand.is_out()


def test_a_failure_is_told_each_time_and_handed_on(storage: StorageInline, said: list[str]) -> None:
    errand: Errand[int] = Errand(storage, "ledger", said.append, trouble="the ledger could not be written")
    came: list[int | Failed] = []
    for _ in range(2):
        assert errand.send(fails, came.append)
        storage.deliver()
    assert said == ["the ledger could not be written: [Errno 5] broken"] * 2
    assert [str(one) for one in came] == ["[Errno 5] broken"] * 2
    assert not errand.is_out(), "it may be tried again"


def test_what_is_told_once_is_told_again_when_it_is_another_and_when_it_is_over(
    storage: StorageInline, said: list[str]
) -> None:
    errand: Errand[int] = Errand(storage, "look", said.append, trouble="no look", over="looks again")

    def fails_otherwise() -> int:
        raise OSError(28, "full")

    for call in (fails, fails, fails_otherwise):
        make(storage, call, errand)
    assert errand.problem == "no look: [Errno 28] full"
    for _ in range(2):
        make(storage, lambda: 1, errand)
    assert said == ["no look: [Errno 5] broken", "no look: [Errno 28] full", "looks again"]
    assert errand.problem == ""


def test_what_tells_itself_says_nothing(storage: StorageInline, said: list[str]) -> None:
    errand: Errand[int] = Errand(storage, "settle", said.append)
    make(storage, fails, errand)
    assert (said, errand.problem) == ([], "")


def test_whoever_comes_back_may_send_the_next_at_once(storage: StorageInline, said: list[str]) -> None:
    errand: Errand[int] = Errand(storage, "look", said.append)
    sent: list[bool] = []
    errand.send(lambda: 1, lambda _: sent.append(errand.send(lambda: 2)))
    storage.deliver()
    assert sent == [True]
