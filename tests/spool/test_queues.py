"""Tokens of serial queues: one holder at a time, whoever is late, and no token that is stuck for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.spool import queues
from gpu_queue.spool.paths import full_name
from gpu_queue.spool.queues import Queues, Token, newest
from gpu_queue.spool.store import listing
from tests.node.harness import Room


def a_queue(room: Room, takeover_after_s: float = 900.0) -> Queues:
    return Queues(room.paths, takeover_after_s)


def test_a_queue_is_taken_by_one_task_and_by_that_one_again(room: Room) -> None:
    first, second = room.submit(), room.submit()
    mine, others = a_queue(room), a_queue(room)
    assert mine.take("car", first, "n1")
    assert not others.take("car", second, "n2")
    assert mine.take("car", first, "n1"), "a task that goes back keeps its queue"
    assert others.take("bike", second, "n2")
    assert mine.busy(0.0) == {"car": first, "bike": second}


def test_a_released_queue_is_taken_in_the_next_generation(room: Room) -> None:
    first, second = room.submit(), room.submit()
    one = a_queue(room)
    one.take("car", first, "n1")
    one.release("car", first)
    assert one.busy(0.0) == {}
    assert one.take("car", second, "n1")
    assert room.listing("queues") == ["car.000001.free", "car.000002"]


def test_a_release_is_idempotent_and_only_for_the_holder(room: Room) -> None:
    first, second = room.submit(), room.submit()
    one = a_queue(room)
    one.take("car", first, "n1")
    one.release("car", second)
    assert one.busy(0.0) == {"car": first}
    for _ in range(3):
        one.release("car", first)
    assert one.take("car", second, "n1")
    one.release("car", first)
    assert one.busy(0.0) == {"car": second}, "a late release must not free the next holder's token"


def test_of_two_takers_who_saw_the_same_free_queue_one_gets_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = room.submit(), room.submit()
    mine, others = a_queue(room), a_queue(room)
    real = listing
    took: list[bool] = []

    def listing_before_the_other_takes(directory: str) -> list[str]:
        names = real(directory)
        if not took:
            took.append(False)
            took[0] = others.take("car", second, "n2")
        return names

    monkeypatch.setattr("gpu_queue.spool.queues.listing", listing_before_the_other_takes)
    assert not mine.take("car", first, "n1")
    assert took == [True]
    assert mine.busy(0.0) == {"car": second}


def test_a_taker_with_a_stale_listing_finds_the_higher_generation_and_gives_way(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = room.submit(), room.submit()
    one = a_queue(room)
    for name in ("car.000001.free", "car.000002.free"):
        (room.root / "queues" / name).touch()
    (room.root / "queues" / "car.000003").write_text(f"{second}\nn2\n")
    real = listing
    stale = [["car.000001.free"]]
    monkeypatch.setattr("gpu_queue.spool.queues.listing", lambda directory: stale.pop() if stale else real(directory))
    assert not one.take("car", first, "n1")
    assert one.busy(0.0) == {"car": second}
    assert "car.000002.free" in room.listing("queues"), "its own token is void"


def test_a_token_of_a_vanished_task_is_broken_after_the_takeover_time_of_own_watching(room: Room) -> None:
    gone, task = "20260101T000000000-abcdef-gone.sh", room.submit()
    one = a_queue(room, 900.0)
    one.take("car", gone, "n1")
    assert one.busy(1000.0) == {"car": gone}
    assert one.busy(1899.0) == {"car": gone}
    one.busy(1900.0)
    assert one.busy(1900.0) == {}
    assert one.take("car", task, "n1")


@pytest.mark.parametrize("place", ["pending", "running/n2"])
def test_a_token_is_never_broken_while_its_task_waits_or_runs_anywhere(room: Room, place: str) -> None:
    task = room.submit()
    one = a_queue(room, 10.0)
    one.take("car", task, "n1")
    if place != "pending":
        (room.root / place).mkdir()
        claim = room.root / place / f"{full_name(500, task)}.try1.0f0f0f"
        os.rename(room.root / "pending" / full_name(500, task), claim)
    for now in range(0, 1000, 5):
        assert one.busy(float(now)) == {"car": task}


def test_a_task_that_is_seen_again_starts_the_watch_anew(room: Room) -> None:
    task = room.submit()
    path = room.root / "pending" / full_name(500, task)
    one = a_queue(room, 10.0)
    one.take("car", task, "n1")
    content = path.read_bytes()
    path.unlink()
    one.busy(0.0)
    path.write_bytes(content)
    one.busy(9.0)
    path.unlink()
    one.busy(10.0)
    assert one.busy(19.0) == {"car": task}


def test_a_token_without_a_name_is_broken_like_any_other(room: Room) -> None:
    (room.root / "queues" / "car.000001").touch()
    one = a_queue(room, 10.0)
    assert one.busy(0.0) == {"car": ""}
    one.busy(10.0)
    assert one.busy(11.0) == {}


def test_strange_files_among_the_tokens_disturb_nobody(room: Room) -> None:
    directory = room.root / "queues"
    for name in ("notes", "car", "car.1", ".car.000009", "car.000001.free.free", "x.000001.freeze"):
        (directory / name).touch()
    (directory / "dir.000001").mkdir()
    os.mkfifo(directory / "fifo.000001")
    one = a_queue(room)
    assert set(one.busy(0.0)) == {"dir", "fifo"}
    assert one.take("car", room.submit(), "n1")


def test_the_newest_hundred_generations_are_kept(room: Room) -> None:
    one, task = a_queue(room), room.submit()
    for number in range(1, 150):
        (room.root / "queues" / f"car.{number:06d}.free").touch()
    assert one.take("car", task, "n1")
    kept = sorted(Path(room.root / "queues").iterdir())
    assert len(kept) == queues.KEPT_GENERATIONS
    assert kept[0].name == "car.000051.free"


def test_names_of_queues_may_look_like_tokens() -> None:
    assert newest(["a.b.000001", "a.000002", "a.b.000001.free"]) == {
        "a.b": Token("a.b", 1, True),
        "a": Token("a", 2, False),
    }
