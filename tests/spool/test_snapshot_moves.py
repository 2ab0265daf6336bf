"""Tasks that move while somebody looks: each is seen once, and none is ever lost from sight."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_queue.spool import files, store
from gpu_queue.spool.paths import SpoolPaths, parse_full, strip_claim
from gpu_queue.spool.snapshot import looks
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.task import State
from tests.node.harness import Room, a_spool
from tests.spool.sights import ALWAYS, NODE, OTHER, Sight, between, failing, places


@pytest.fixture
def sight(room: Room) -> Sight:
    sight = Sight(room)
    for node in (NODE, OTHER):
        sight.page(node)
    return sight


def test_one_that_is_claimed_between_the_listings_runs(sight: Sight) -> None:
    task = sight.room.submit()
    sight.look()
    with between(sight.room, {("pending", 1): lambda: sight.claim(task)}):
        assert places(sight.look(everything=True)) == {task: ["running"]}
    assert places(sight.look()) == {task: ["running"]}


def test_one_that_settles_between_the_listings_is_settled(sight: Sight) -> None:
    task = sight.room.submit()
    sight.claim(task)
    sight.look()
    with between(sight.room, {(f"running/{NODE}", 1): lambda: sight.settle(task)}):
        assert places(sight.look(everything=True)) == {task: ["done"]}


@pytest.mark.parametrize("is_told", [True, False])
def test_one_that_went_all_the_way_since_the_last_look_is_settled(sight: Sight, is_told: bool) -> None:
    task = sight.room.submit()
    sight.look()
    sight.claim(task)
    sight.settle(task, "failed", is_told=is_told)
    assert places(sight.look()) == {task: ["failed"]}


def test_one_that_is_requeued_behind_the_back_of_the_listing_is_found(sight: Sight) -> None:
    task = sight.room.submit()
    sight.claim(task)
    sight.look()
    # pending/ was listed and had it not yet, running/ has it no more.
    with between(sight.room, {("pending", 1): lambda: sight.put(task, "pending")}):
        assert places(sight.look(everything=True)) == {task: ["pending"]}


def test_one_that_is_taken_over_while_the_nodes_are_listed_is_seen_once(sight: Sight) -> None:
    for source, target in ((NODE, OTHER), (OTHER, NODE)):
        task = sight.room.submit()
        sight.claim(task, source)
        sight.look(20)

        def take_over(task: str = task, target: str = target) -> None:
            there = sight.path(task)
            there.rename(Path(sight.paths.running(target), f"{there.name}=255-lost"))

        with between(sight.room, {(f"running/{NODE}", 1): take_over}):
            seen = sight.look(20)
        assert places(seen)[task] == ["running"]
        assert [one.node for one in seen.running if one.task_id == task] == [target]
        sight.settle(task)


def test_one_whose_priority_changes_while_it_is_listed_stays_in_sight(sight: Sight) -> None:
    task = sight.room.submit()
    sight.look()
    real = store.some_names
    hidden = [True]

    def some_names(directory: str, at_most: int) -> tuple[list[str], bool]:
        found = real(directory, at_most)
        if directory.endswith("/pending") and hidden.pop():
            hidden.append(False)
            return [], False  # the old name was gone, the new one came behind the reader's place
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "some_names", some_names)
        assert places(sight.look()) == {task: ["pending"]}
    sight.put(task, "pending", priority=100)
    seen = sight.look()
    assert [one.priority for one in seen.waiting] == [100]


def test_a_retry_and_a_cancel_are_seen_at_the_next_look(sight: Sight) -> None:
    task = sight.room.submit()
    for state in ("failed", "pending", "failed", "pending", "done"):
        sight.put(task, state)
        assert places(sight.look()) == {task: [state]}


def test_a_retry_that_an_old_mtime_hides_is_seen_all_the_same(sight: Sight) -> None:
    task = sight.room.submit()
    sight.put(task, "failed")
    failed = sight.room.root / "failed"
    os.utime(failed, (1e9, 1e9))
    sight.look()
    sight.put(task, "pending")
    os.utime(failed, (1e9, 1e9))
    assert places(sight.look()) == {task: ["pending"]}


def test_one_that_somebody_removed_is_gone(sight: Sight) -> None:
    waits, runs = sight.room.submit(), sight.room.submit()
    sight.claim(runs)
    sight.look()
    for task in (waits, runs):
        sight.path(task).unlink()
    assert places(sight.look(10)) == {}


@pytest.mark.parametrize("directory", ["running", f"running/{NODE}", "done", "failed"])
def test_where_nobody_can_tell_where_it_went_it_stays_where_it_was(sight: Sight, directory: str) -> None:
    task = sight.room.submit()
    sight.page()
    before = sight.look()
    sight.claim(task)
    sight.settle(task, "failed" if directory == "failed" else "done", is_told=False)
    with failing(sight.room, errno.EIO, directory):
        during = sight.look()
        if directory in ("done", "failed"):
            assert places(during) == {task: ["pending"]}
            assert during.counts == before.counts
        assert places(sight.look()) == places(during)
    assert places(sight.look(10)) == {task: ["failed" if directory == "failed" else "done"]}


@pytest.mark.parametrize("is_dear", [False, True])
def test_a_copy_of_a_settled_task_waits_as_another_one(
    sight: Sight, is_dear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_dear:  # to list what is settled: only where a task is in doubt
        monkeypatch.setattr(looks, "RELIST_AT_ONCE", -1)
    task = sight.room.submit()
    sight.put(task, "done")
    sight.look()
    sight.room.drop(sight.path(task).name, "echo again\n")
    sight.look()
    seen = sight.look()
    assert places(seen) == {task: ["done"]}
    assert [(one.task_id, one.name[4:]) for one in seen.waiting] == [(None, task)]
    assert seen.waiting[0].reasons[0].reason.number("copy") == 1
    assert sight.look(60).waiting is seen.waiting


def test_a_copy_of_a_running_task_waits_as_another_one(sight: Sight) -> None:
    task = sight.room.submit()
    sight.claim(task)
    sight.look()
    sight.room.drop(f"500-{task}", "echo again\n")
    for _ in range(8):
        seen = sight.look()
    assert places(seen) == {task: ["running"]}
    assert [one.task_id for one in seen.waiting] == [None]


def test_two_tries_of_one_task_that_both_stay_are_both_shown(sight: Sight) -> None:
    task = sight.room.submit()
    name = sight.claim(task)
    sight.room.drop("x", "")
    os.rename(sight.room.root / "pending/x", Path(sight.paths.running(OTHER), f"500-{task}.try2.bbbbbb"))
    sight.look()
    sight.look(10)
    seen = sight.look(10)
    assert [(one.node, one.name) for one in seen.running] == [(NODE, name), (OTHER, f"500-{task}.try2.bbbbbb")]
    assert seen.counts.running == 1


def test_a_hand_drop_that_was_claimed_runs_at_the_next_look(sight: Sight) -> None:
    sight.room.drop("train.sh", "echo\n")
    assert sight.look().counts.waiting == 1
    name = "500-20260101T000000000-abcdef-train.sh.try1.abcdef"
    os.rename(sight.room.root / "pending/train.sh", Path(sight.paths.running(NODE), name))
    seen = sight.look()
    assert (seen.counts.waiting, [one.name for one in seen.running]) == (0, [name])


# -- a refresh sees what a fresh look sees ---------------------------------------------------------------------------

STATES = st.sampled_from(["pending", "done", "failed"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 2)),
        st.tuples(st.just("claim"), st.integers(0, 9)),
        st.tuples(st.just("settle"), st.integers(0, 9)),
        st.tuples(st.just("requeue"), st.integers(0, 9)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("retry"), st.integers(0, 9)),
        st.tuples(st.just("priority"), st.integers(0, 9)),
        st.tuples(st.just("remove"), st.integers(0, 9)),
        st.tuples(st.just("drop"), st.integers(0, 3)),
        st.tuples(st.just("page"), st.integers(0, 3)),
        st.tuples(st.just("away"), st.integers(0, 1)),
        st.tuples(st.just("flag"), st.integers(0, 1)),
        st.tuples(st.just("token"), st.integers(0, 5)),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=25,
)


def act(sight: Sight, what: str, number: int) -> None:
    """What agents and people do, as far as there is something that it can be done to."""

    def some(*directories: str) -> str:
        names = sorted(name for one in directories for name in os.listdir(sight.room.root / one))
        ids = [full[1] for name in names if (full := parse_full(strip_claim(name))) is not None]
        return ids[number % len(ids)] if ids else ""

    running = [f"running/{node}" for node in sorted(os.listdir(sight.paths.all_running))]
    waits, runs, failed = some("pending"), some(*running), some("failed")
    node = (NODE, OTHER)[number % 2]
    token = sight.room.root / "queues" / f"car.{number + 1:06d}"
    sight.moment += 1
    match what:
        case "submit":
            sight.room.submit(priority=100 * number + 300)
        case "claim" if waits:
            sight.claim(waits, node, token=f"{int(sight.moment) % 16**6:06x}")
        case "settle" if runs:
            sight.settle(runs, ("done", "failed")[number % 2], is_told=number % 3 > 0)
        case "requeue" if runs:
            sight.put(runs, "pending")
        case "cancel" if waits:
            sight.put(waits, "failed")
        case "retry" if failed:
            sight.put(failed, "pending")
        case "priority" if waits:
            sight.put(waits, "pending", priority=number)
        case "remove" if waits or runs:
            sight.path(waits or runs).unlink()
        case "drop":
            sight.room.drop(f"drop{number}.sh", "echo\n")
        case "page":
            sight.page(node, skipped=number)
        case "away":
            Path(sight.paths.node_json(node)).unlink(missing_ok=True)
        case "flag":
            Path(sight.paths.flag("paused")).write_text("x" * number)
        case "token":
            token.write_text(f"{waits}\n")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_a_refresh_sees_what_a_fresh_look_sees(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        sight = Sight(room, ALWAYS)
        for what, number in [*steps, ("look", 0)]:
            act(sight, what, number)
            if what == "look":
                now = sight.now + 0.01
                seen = sight.look(0.01)
                fresh = SnapshotReader(room.paths).refresh(now)
                assert seen == fresh, explain(seen, fresh)
                assert all(len(where) == 1 for where in places(seen).values())
                assert sight.look(0.01) is seen


def explain(seen: object, fresh: object) -> list[tuple[str, object, object]]:
    """The parts in which two snapshots differ."""
    return [
        (name, list(one) if hasattr(one, "__len__") else one, getattr(fresh, name))
        for name, one in vars(seen).items()
        if one != getattr(fresh, name) and name not in ("clock", "versions")
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    moments=st.lists(
        st.tuples(st.sampled_from(["pending", "running", "done", "failed"]), st.integers(1, 3)), max_size=4
    ),
)
def test_whatever_moves_during_a_look_each_task_is_seen_once_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], moments: list[tuple[str, int]]
) -> None:
    with a_spool(tmp_path_factory.mktemp("any")) as room:
        sight = Sight(room)
        for node in (NODE, OTHER):
            sight.page(node)
        for _ in range(3):
            room.submit()
        sight.look()
        moves = [step for step in steps if step[0] in ("claim", "settle", "requeue", "cancel", "retry")]
        real, counts = store.some_names, dict.fromkeys(State, 0)

        def some_names(directory: str, at_most: int) -> tuple[list[str], bool]:
            found = real(directory, at_most)
            state = next((one for one in State if directory == SpoolPaths(str(room.root)).directory(one)), None)
            if state is not None:
                counts[state] += 1
                if (state.value, counts[state]) in moments and moves:
                    act(sight, *moves.pop())
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(looks, "some_names", some_names)
            seen = sight.look(everything=True)
        for one in (seen, sight.look()):
            assert all(len(where) == 1 for where in places(one).values()), places(one)
            assert len(places(one)) == 3, "a task went out of sight"
        assert files.mark_of(str(room.root)) is not None
