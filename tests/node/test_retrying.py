"""How often a task has failed and whether it rests, by what each node reads of it from the spool."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from gpu_queue.node.transitions import Claimed, Settled
from gpu_queue.scheduling.backoff import rests_until
from gpu_queue.scheduling.facts import Limits
from gpu_queue.sharing import Mode, RetryConfig, Sharing
from gpu_queue.spool import records
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.spool.records import MAX_TRIES_KEPT
from gpu_queue.task import Abnormal, Claim, End, RetryLimits, State, TryResult, Waiting, Why
from tests.node.harness import AT_ONCE, Node, Room

REST = RetryConfig(3, 600.0)
ALWAYS = RetryLimits(None, rest_every=3, rest="10m")


def seen(node: Node, task: str) -> Waiting:
    """A waiting task, as a node that knows nothing of it finds it."""
    node.spool.reader.forget(f"500-{task}")
    node.spool.reader.list_names(frozenset())
    (one,) = [one for one in node.spool.reader.look(node.room.now, frozenset()).waiting if one.task_id == task]
    return one


def ends(node: Node, task: str, number: int, end: End, abnormal: Abnormal | None = None) -> Settled:
    """One try of a task, from its claim to where it goes."""
    claim = Claim(500, task, number, f"{number:06x}")
    assert isinstance(node.spool.transitions.claim(seen(node, task), claim), Claimed)
    return node.spool.transitions.settle(claim, None, end, ALWAYS, {}, abnormal=abnormal)


def rest_s(waiting: Waiting, paths: SpoolPaths) -> float:
    """How long it rests from its return, on a shared server."""
    assert waiting.task_id is not None
    written_at = os.stat(paths.tries_index(waiting.task_id)).st_mtime
    until_s = rests_until(
        waiting.failures, waiting.entered_at, Limits(retry_config=REST), is_fresh=waiting.has_just_failed
    )
    return max(0.0, until_s - written_at)


def test_another_node_finds_the_same_failures_and_the_same_rest(room: Room) -> None:
    task = room.submit()
    mine, others = room.start(), room.start(name="n2")
    for number in (1, 2):
        ends(mine, task, number, End(1))
        assert rest_s(seen(others, task), room.paths) == 0.0
    ends(others, task, 3, End(0), Abnormal("oom"))
    for node in (mine, others):
        waiting = seen(node, task)
        assert (waiting.failures, waiting.error_type) == (3, "oom")
        assert rest_s(waiting, room.paths) == REST.backoff_duration_s


def test_a_rest_that_was_had_is_not_had_again_after_a_try_that_was_requeued_or_lost(room: Room) -> None:
    task = room.submit()
    node = room.start()
    for number in (1, 2, 3):
        ends(node, task, number, End(1))
    for number, why in enumerate((Why.REQUEUE, Why.LOST, Why.FENCED, Why.NOSTART), 4):
        ends(node, task, number, End(143, why))
        waiting = seen(node, task)
        assert waiting.failures == 3
        assert rest_s(waiting, room.paths) == 0.0
    ends(node, task, 8, End(1))
    assert rest_s(seen(node, task), room.paths) == 0.0, "it is the fourth failure"


def test_failures_that_the_index_has_forgotten_are_still_counted(room: Room) -> None:
    task = room.submit()
    node = room.start()
    old = tuple(TryResult(n, f"{n:06x}", End(1), final=False, failures=n) for n in range(1, 300))
    records.write_tries(room.paths, task, old)
    assert len(records.read_tries(room.paths, task)) == MAX_TRIES_KEPT
    assert seen(node, task).failures == 299
    ends(node, task, 300, End(1))
    waiting = seen(node, task)
    assert (waiting.failures, rest_s(waiting, room.paths)) == (300, REST.backoff_duration_s)


def test_an_index_without_those_counts_is_counted_as_it_was(room: Room) -> None:
    task = room.submit()
    node = room.start()
    for number in (1, 2):
        ends(node, task, number, End(1))
    index = json.loads((room.root / f"records/{task}.tries.json").read_text())
    for entry in index["tries"]:
        del entry["failures"]
        entry["error_type"] = ["no", "text"]
    (room.root / f"records/{task}.tries.json").write_text(json.dumps(index))
    waiting = seen(node, task)
    assert (waiting.failures, waiting.has_just_failed, waiting.error_type) == (2, True, "unknown")


def test_a_mode_changes_what_a_failure_comes_to_from_the_next_one_on(room: Room) -> None:
    task = room.submit(room.script("exit 1"))
    shared = replace(AT_ONCE, mode=Mode.SHARED, sharing=Sharing(retry_config=RetryConfig(2, 600.0)))
    node = room.start(shared)
    node.settle_all()
    assert room.where(task) == [State.PENDING.value]
    assert len(records.read_tries(room.paths, task)) == 2
    assert "rests until" in next(iter(node.reasons().values()))
    node.die()
    node = room.start()
    node.settle_all()
    assert room.where(task) == [State.FAILED.value], "a dedicated agent goes by its own: no rest, and no retries"


def test_a_script_that_asks_as_soon_as_it_begins_is_not_through_with_its_bound_in_seconds(room: Room) -> None:
    task = room.submit(room.script(': >"$GPU_QUEUE_REQUEUE"'))
    node = room.start(replace(AT_ONCE, max_again=100))
    node.settle_all()
    assert (room.runs(task), room.where(task), seen(node, task).hurries) == (4, ["pending"], 4)
    node.step()
    assert "has asked 4 times in a row to be run again" in str(node.reasons())
    index = room.paths.tries_index(task)
    written_at = os.stat(index).st_mtime
    os.utime(index, (written_at - 31.0, written_at - 31.0))  # half a minute later
    node.spool.reader.forget(f"500-{task}")
    node.settle_all()
    assert room.runs(task) == 5
    assert seen(room.start(name="n2"), task).hurries == 5
