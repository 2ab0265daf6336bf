"""Tokens of serial queues: one holder at a time, whoever is late, and no token that is stuck for ever."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from gpu_queue.node.transitions import Claimed, NotClaimed
from gpu_queue.spool import queues
from gpu_queue.spool.paths import full_name
from gpu_queue.spool.queues import Doubt, Queues, Token, doubts, forgettable, holders, is_held, parse_token
from gpu_queue.spool.store import listing, move
from gpu_queue.task import Claim, End, Needs, RetryLimits, Waiting
from tests.node.harness import AT_ONCE, Fault, Node, Room, run_through

HEAD = "#GPUQ --gpus 0 --queue car"


def a_queue(room: Room, takeover_after_s: float = 900.0) -> Queues:
    return Queues(room.paths, takeover_after_s)


def take(one: Queues, queue: str, task: str, node: str = "n1") -> bool:
    """Reserve and hold, with a claim that is there."""
    reserved = one.reserve(queue, task, node)
    return reserved is not None and one.hold(reserved, node, lambda: True)


def plain(room: Room) -> dict[str, str]:
    """The tokens that are not free, and whom they name."""
    return {
        name: (room.root / "queues" / name).read_text().split("\n")[0]
        for name in room.listing("queues")
        if not name.endswith(".free")
    }


# -- reserve and hold ------------------------------------------------------------------------------------------------


def test_a_queue_is_held_by_one_task(room: Room) -> None:
    first, second = room.submit(), room.submit()
    mine, others = a_queue(room), a_queue(room)
    assert take(mine, "car", first, "n1")
    assert others.reserve("car", second, "n2") is None
    assert take(others, "bike", second, "n2")
    assert mine.busy(0.0) == {"car": first, "bike": second}
    assert (room.root / "queues" / "car.000002").read_text() == f"{first}\nn1\n"


def test_what_is_reserved_for_a_task_is_no_other_tasks_and_may_be_reserved_for_it_again(room: Room) -> None:
    first, second = room.submit(), room.submit()
    mine, others = a_queue(room), a_queue(room)
    assert mine.reserve("car", first, "n1") is not None
    assert others.reserve("car", second, "n2") is None
    assert others.reserve("car", first, "n2") is not None


def test_who_holds_frees_every_other_token_of_its_task(room: Room) -> None:
    task = room.submit()
    kept, mine = a_queue(room), a_queue(room)
    assert take(kept, "car", task, "n2"), "it went back then, and kept its queue"
    assert take(mine, "car", task, "n1")
    assert plain(room) == {"car.000004": task}


def test_who_lost_its_claim_meanwhile_holds_nothing_and_frees_no_other_token(room: Room) -> None:
    task = room.submit()
    mine, others = a_queue(room), a_queue(room)
    reserved = mine.reserve("car", task, "n1")
    assert reserved is not None
    assert take(others, "car", task, "n2")
    assert not mine.hold(reserved, "n1", lambda: False)
    assert list(plain(room).values()) == [task], "the one by which it runs elsewhere"


def test_of_two_takers_who_saw_the_same_free_queue_one_gets_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = room.submit(), room.submit()
    mine, others = a_queue(room), a_queue(room)
    real = listing
    took: list[bool] = []

    def listing_before_the_other_takes(directory: str) -> list[str]:
        names = real(directory)
        if not took:
            took.append(False)
            took[0] = take(others, "car", second, "n2")
        return names

    monkeypatch.setattr("gpu_queue.spool.queues.listing", listing_before_the_other_takes)
    assert not take(mine, "car", first)
    assert took == [True]
    assert plain(room) == {"car.000001": first, "car.000002": second}, "and the first is the next"


def test_a_taker_with_a_stale_listing_finds_the_other_generation_and_gives_way(
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
    reserved = one.reserve("car", first, "n1")
    assert reserved == Token("car", 2, first), "a name that was used before"
    assert not one.hold(reserved, "n1", lambda: True)
    assert set(plain(room)) == {"car.000002", "car.000003"}


def test_a_token_that_another_writes_in_this_moment_is_looked_at_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = room.submit()
    one = a_queue(room)
    reserved = one.reserve("car", task, "n1")
    assert reserved is not None
    other = room.root / "queues" / "car.000009"
    real = listing
    looks: list[str] = []

    def listing_while_another_reserves(directory: str) -> list[str]:
        looks.append(directory)
        if len(looks) == 2:
            other.touch()
        elif len(looks) == 3:
            other.write_text(f"{task}\nn2\n")
        return real(directory)

    monkeypatch.setattr("gpu_queue.spool.queues.listing", listing_while_another_reserves)
    assert one.hold(reserved, "n1", lambda: True)


def test_a_token_that_was_not_written_for_long_is_given_up(room: Room) -> None:
    times = iter([0.0, 450.0])
    one = Queues(room.paths, 900.0, lambda: next(times))
    assert one.reserve("car", room.submit(), "n1") is None
    assert plain(room) == {}


def test_a_generation_that_was_used_before_gives_nobody_a_queue() -> None:
    own = Token("car", 7, "X")
    assert is_held(own, ["car.000007", "car.000006.free"], [own])
    assert not is_held(own, ["car.000007", "car.000007.free"], [own])
    assert not is_held(own, ["car.000007", "car.000200.free"], [own]), "its free name may be forgotten"


@pytest.mark.parametrize("holder", ["Y", ""])
@pytest.mark.parametrize("generation", [6, 8])
def test_any_token_of_another_or_of_nobody_known_keeps_a_task_out(generation: int, holder: str) -> None:
    own = Token("car", 7, "X")
    names = ["car.000007", f"car.{generation:06d}"]
    assert not is_held(own, names, [own, Token("car", generation, holder)])
    assert is_held(own, names, [own, Token("car", generation, "X")])
    assert not is_held(own, names[1:], [Token("car", generation, "X")]), "its own was freed"


# -- claims and ends -------------------------------------------------------------------------------------------------


def waiting(node: Node, task: str) -> Waiting:
    (one,) = [one for one in node.spool.reader.look(node.room.now, frozenset()).waiting if one.task_id == task]
    return one


def claim(node: Node, task: str, token: str, seen: Waiting) -> Claimed | NotClaimed:
    return node.spool.transitions.claim(seen, Claim(500, task, 1, token))


def test_who_loses_the_race_for_a_task_frees_nothing_of_who_won_it(room: Room) -> None:
    task, behind = room.submit(room.script(head=HEAD)), room.submit(room.script(head=HEAD))
    mine, others = room.start(name="n1"), room.start(name="n2")
    seen, next_ = waiting(others, task), waiting(others, behind)
    assert isinstance(claim(mine, task, "aaaaaa", waiting(mine, task)), Claimed)
    assert isinstance(claim(others, task, "bbbbbb", seen), NotClaimed)
    assert list(plain(room).values()) == [task]
    assert isinstance(claim(others, behind, "cccccc", next_), NotClaimed)
    assert room.where(behind) == ["pending"]


def test_a_drop_whose_claim_failed_does_not_wait_for_itself(room: Room) -> None:
    room.drop("train.sh", room.script(head=HEAD))
    fault = Fault("running", False, errno.EIO)
    run_through(room, fault)
    assert fault.happened
    (done,) = room.listing("done")
    assert room.ran.read_text().split() == [done[4:]]


def test_a_retry_between_the_end_and_its_release_keeps_its_own_token(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = room.submit(room.script(head=HEAD))
    mine, others = room.start(name="n1"), room.start(name="n2")
    assert isinstance(claim(mine, task, "aaaaaa", waiting(mine, task)), Claimed)
    real = move

    def settled_retried_and_claimed(source: str, target: str) -> object:
        moved = real(source, target)
        if "/failed/" in target:
            monkeypatch.setattr("gpu_queue.spool.store.move", real)
            os.rename(target, f"{room.root}/pending/{full_name(500, task)}")
            assert isinstance(claim(others, task, "bbbbbb", waiting(others, task)), Claimed)
        return moved

    monkeypatch.setattr("gpu_queue.spool.store.move", settled_retried_and_claimed)
    mine.spool.transitions.settle(
        Claim(500, task, 1, "aaaaaa"), None, End(1), RetryLimits(), {}, needs=Needs(queue="car")
    )
    assert room.where(task) == ["running/n2"]
    assert list(plain(room).values()) == [task]


def test_a_claim_whose_queue_was_taken_meanwhile_goes_back_and_costs_no_try(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, other = room.submit(room.script(head=HEAD)), room.submit()
    node = room.start()
    seen = waiting(node, task)
    real = move

    def claimed_beside_another(source: str, target: str) -> object:
        (room.root / "queues" / "car.000077").write_text(f"{other}\nn2\n")
        return real(source, target)

    monkeypatch.setattr("gpu_queue.spool.store.move", claimed_beside_another)
    assert isinstance(claim(node, task, "aaaaaa", seen), NotClaimed)
    assert room.where(task) == ["pending"]
    assert not list((room.root / "records").glob(f"{task}.tr*"))
    assert plain(room) == {"car.000001": task, "car.000077": other}, "it is the next"


@pytest.mark.parametrize("knows", [True, False], ids=["by its agent", "by one that knows nothing of it"])
def test_whoever_settles_a_task_frees_all_its_tokens(room: Room, *, knows: bool) -> None:
    task = room.submit(room.script(head=HEAD))
    node = room.start()
    assert isinstance(claim(node, task, "aaaaaa", waiting(node, task)), Claimed)
    one = Claim(500, task, 1, "aaaaaa")
    queue = "car" if knows else None
    node.spool.transitions.settle(one, None, End(1), RetryLimits(), {}, needs=Needs(queue=queue), inherited=not knows)
    assert room.where(task) == ["failed"]
    assert plain(room) == {}


def test_a_task_that_is_refused_after_it_went_back_gives_its_queue_free(room: Room) -> None:
    task = room.submit(room.script(head=HEAD))
    node = room.start()
    assert take(a_queue(room), "car", task, "n2")
    one = Claim(500, task, 2, "aaaaaa")
    assert isinstance(node.spool.transitions.claim(waiting(node, task), one, to_run=False), Claimed)
    node.spool.transitions.settle(one, None, End(255), RetryLimits(), {}, "it can never run")
    assert room.where(task) == ["failed"]
    assert plain(room) == {}


def test_a_waiting_task_that_is_cancelled_gives_its_queue_free(room: Room) -> None:
    task = room.submit()
    node = room.start()
    assert take(a_queue(room), "car", task, "n2")
    assert node.spool.cancel([full_name(500, task)]) == 1
    assert plain(room) == {}


# -- breaking --------------------------------------------------------------------------------------------------------


def test_a_token_of_a_vanished_task_is_broken_after_the_takeover_time_of_own_watching(room: Room) -> None:
    gone, task = "20260101T000000000-abcdef-gone.sh", room.submit()
    one = a_queue(room, 900.0)
    take(one, "car", gone)
    assert one.busy(1000.0) == {"car": gone}
    assert one.busy(1899.0) == {"car": gone}
    one.busy(1900.0)
    assert one.busy(1900.0) == {}
    assert take(one, "car", task)


@pytest.mark.parametrize("place", ["pending", "running/n2"])
def test_a_token_is_never_broken_while_its_task_waits_or_runs_anywhere(room: Room, place: str) -> None:
    task = room.submit()
    one = a_queue(room, 10.0)
    take(one, "car", task)
    if place != "pending":
        (room.root / place).mkdir()
        there = room.root / place / f"{full_name(500, task)}.try1.0f0f0f"
        os.rename(room.root / "pending" / full_name(500, task), there)
    for now in range(0, 1000, 5):
        assert one.busy(float(now)) == {"car": task}


def test_a_task_that_is_seen_again_starts_the_watch_anew(room: Room) -> None:
    task = room.submit()
    path = room.root / "pending" / full_name(500, task)
    one = a_queue(room, 10.0)
    take(one, "car", task)
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


def test_two_waiting_tasks_with_tokens_of_one_queue_do_not_wait_for_each_other_for_ever(room: Room) -> None:
    tasks = [room.submit(room.script(head=HEAD)) for _ in range(2)]
    for generation, task in zip((7, 8), tasks, strict=True):
        (room.root / "queues" / f"car.{generation:06d}").write_text(f"{task}\nn9\n")
    node = room.start(replace(AT_ONCE, takeover_after_s=900.0))
    for _ in range(8):
        node.step()
    node.settle_all()
    assert room.ran.read_text().split() == tasks


def test_a_token_is_in_doubt_where_its_task_is_nowhere_or_waits_behind_another_that_waits() -> None:
    first, second = Token("car", 3, "X"), Token("car", 5, "Y")
    assert doubts([second, first], {"X", "Y"}, set()) == {second: Doubt.SURPLUS}
    assert doubts([second, first], {"Y"}, {"X"}) == {}, "X runs, and Y is the next"
    assert doubts([second, first], {"Y"}, set()) == {first: Doubt.NOWHERE}
    assert doubts([second, Token("bus", 3, "X")], {"X", "Y"}, set()) == {}


def test_where_several_have_tokens_nobody_that_waits_may_go_on() -> None:
    tokens = [Token("car", 3, "X"), Token("car", 5, "Y"), Token("bus", 1, "X"), Token("bus", 2, "X")]
    assert holders(tokens, set()) == {"car": "", "bus": "X"}
    assert holders(tokens, {"Y"}) == {"car": "Y", "bus": "X"}


# -- names -----------------------------------------------------------------------------------------------------------


def test_strange_files_among_the_tokens_disturb_nobody(room: Room) -> None:
    directory = room.root / "queues"
    for name in ("notes", "car", "car.1", ".car.000009", "car.0000001", "car.000001.free.free", "x.000001.freeze"):
        (directory / name).touch()
    (directory / f"car.{'9' * 200}").touch()
    (directory / "dir.000001").mkdir()
    os.mkfifo(directory / "fifo.000001")
    (directory / "link.000001").symlink_to(directory / "notes")
    one = a_queue(room)
    assert set(one.busy(0.0)) == {"dir", "fifo", "link"}
    assert take(one, "car", room.submit())


def test_free_generations_are_forgotten_after_a_hundred(room: Room) -> None:
    one, task = a_queue(room), room.submit()
    for number in range(1, 150):
        (room.root / "queues" / f"car.{number:06d}.free").touch()
    assert take(one, "car", task)
    kept = room.listing("queues")
    assert (kept[0], kept[-1], len(kept)) == ("car.000052.free", "car.000151", queues.KEPT_GENERATIONS)


def test_a_busy_generation_is_never_forgotten_nor_that_of_another_queue() -> None:
    names = ["car.000001", "car.000002.free", "bus.000002.free", "car.000102.free", "car.000200"]
    assert forgettable(names, "car") == ["car.000002.free"]


def test_names_of_queues_may_look_like_tokens() -> None:
    assert parse_token("a.b.000001.free") == ("a.b", 1, True)
    assert parse_token("a.000001.000002") == ("a.000001", 2, False)
    assert parse_token("a.0000002") is None
