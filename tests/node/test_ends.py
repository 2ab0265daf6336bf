"""What waits for an end wakes at that end.  The poll is an hour here, so nobody is saved by the next look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_queue.agent.looking import GATHER_S, REST_TIMES
from gpu_queue.node import pending as pending_module
from gpu_queue.node.pending import PendingReader
from gpu_queue.node.side import Look, LookRequest, NodeSide
from gpu_queue.spool import store
from gpu_queue.spool.paths import full_name
from gpu_queue.task import State
from tests.node.harness import AT_ONCE, Node, Room
from tests.node.test_waiting import a_reader, look, move, upstream

HOURLY = replace(AT_ONCE, poll_s=3600.0)
ON_A_GPU = "#GPUQ --gpus 1"
MOMENT_S = 0.001


def moments(node: Node, steps: int = 3) -> None:
    """Steps within which no look becomes due by itself."""
    for _ in range(steps):
        node.step(MOMENT_S)


def run_until(node: Node, done: Callable[[], bool], task: str = "") -> None:
    """Steps a moment apart; what runs (or that task alone) is waited for, without a look at the clock."""
    for _ in range(400):
        node.step(MOMENT_S)
        if done():
            return
        for one in node.agent.tries.live.values():
            if one.is_running and one.pid is not None and task in one.name:
                os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    raise AssertionError(f"it does not come to pass: {node.reasons()}, {node.said[-5:]}")


def at_rest(room: Room, name: str = "n1", **more: object) -> Node:
    """An agent that has looked, has heard that ends are told, and has nothing to do for an hour."""
    node = room.start(HOURLY, name=name, **more)  # type: ignore[arg-type]
    moments(node, 12)
    return node


def hear(node: Node, directory: str, name: str) -> bool:
    """A file arrives there: its event reaches the agent if it is awaited, as the threads decide that hear it."""
    path = str(Path(node.room.root, directory))
    if not node.spool.is_awaited(path, name):
        return False
    node.agent.hint(path, name, True)
    return True


def submit_at(node: Node, *args: object, **more: object) -> str:
    """Submit, with the event that tells of it."""
    task = node.room.submit(*args, **more)  # type: ignore[arg-type]
    node.agent.hint(node.room.paths.directory(State.PENDING), full_name(500, task), True)
    moments(node, 4)
    return task


def gather(node: Node) -> None:
    """So long that what was heard is looked at, and acted upon."""
    node.step(MOMENT_S)
    node.step(GATHER_S)
    moments(node)


class Gate:
    """What a first task waits for, so that nothing ends before the agent is at rest."""

    def __init__(self, room: Room) -> None:
        self._path = room.base / "gate"
        os.mkfifo(self._path)
        self.line = f'read line <"{self._path}"'

    def open(self) -> None:
        self._path.write_text("go\n")


@contextmanager
def counted_looks() -> Iterator[list[LookRequest]]:
    """The looks that are made."""
    made: list[LookRequest] = []
    real = NodeSide.look

    def counting(side: NodeSide, request: LookRequest) -> Look:
        made.append(request)
        return real(side, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NodeSide, "look", counting)
        yield made


# -- on one agent -------------------------------------------------------------------------------------------------


def test_the_next_of_a_queue_starts_at_the_end_of_the_one_before(room: Room) -> None:
    gate = Gate(room)
    tasks = [room.submit(room.script(gate.line if number == 0 else "exit 0"), queue="q") for number in range(5)]
    node = at_rest(room)
    gate.open()
    with counted_looks() as looks:
        run_until(node, lambda: len(room.listing("done")) == len(tasks))
    assert looks == [], "each was known to be free when it was freed"
    assert room.ran.read_text().split() == tasks


def test_the_next_of_a_chain_starts_at_the_end_of_the_one_before(room: Room) -> None:
    gate = Gate(room)
    tasks = [room.submit(room.script(gate.line))]
    for _ in range(4):
        tasks.append(room.submit(room.script(), after=[tasks[-1]]))
    node = at_rest(room)
    gate.open()
    with counted_looks() as looks:
        run_until(node, lambda: len(room.listing("done")) == len(tasks))
    assert looks == []
    assert room.ran.read_text().split() == tasks


def test_what_waits_for_a_failed_task_is_refused_at_once_down_the_chain_though_no_gpu_is_free(room: Room) -> None:
    gate = Gate(room)
    room.submit(room.script("exec sleep 600", head=ON_A_GPU))
    tasks = [room.submit(room.script(f"{gate.line}; exit 3"))]
    for _ in range(4):
        tasks.append(room.submit(room.script(head=ON_A_GPU), after=[tasks[-1]]))
    node = at_rest(room, gpus="1")
    gate.open()
    run_until(node, lambda: len(room.listing("failed")) == len(tasks), tasks[0])
    assert not any(room.runs(task) for task in tasks[1:])


def test_a_task_that_waits_for_two_starts_at_the_end_of_the_second(room: Room) -> None:
    gate = Gate(room)
    first, second = room.submit(room.script()), room.submit(room.script(gate.line))
    last = room.submit(room.script(), after=[first, second])
    node = at_rest(room)
    gate.open()
    run_until(node, lambda: bool(room.runs(last)))
    assert room.ran.read_text().split()[-1] == last


def test_the_events_of_its_own_ends_make_no_agent_look(room: Room) -> None:
    gate = Gate(room)
    tasks = [room.submit(room.script(gate.line), queue="q")]
    tasks += [room.submit(room.script(), queue="q", after=tasks) for _ in range(2)]
    node = at_rest(room)
    told = {directory: room.listing(directory) for directory in ("done", "queues")}

    def is_over() -> bool:
        if len(room.listing("done")) == len(tasks):
            return True
        for directory, before in told.items():  # heard before the agent knows what its storage thread has done
            told[directory] = room.listing(directory)
            for name in set(told[directory]) - set(before):
                hear(node, directory, name)
        return False

    with counted_looks() as looks:
        assert hear(node, "done", full_name(500, tasks[0])), "the event may be faster than its own thread"
        moments(node, 100)
        gate.open()
        run_until(node, is_over)
        moments(node, 100)
        assert not hear(node, "done", full_name(500, tasks[0])), "not even where the event is late"
    assert looks == []


# -- on another agent ---------------------------------------------------------------------------------------------


def test_a_task_starts_at_the_end_of_one_that_another_node_ran_and_done_is_not_listed(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = room.submit(room.script())
    move(room, first, "pending", "running/n2-0000000b")
    node = at_rest(room)
    second = submit_at(node, room.script(), after=[first])
    moments(node, 12)
    listed: list[str] = []
    real = store.listing

    def listing(path: str) -> list[str]:
        listed.append(path)
        return real(path)

    monkeypatch.setattr(pending_module, "listing", listing)
    move(room, first, "running/n2-0000000b", "done")
    assert hear(node, "done", full_name(500, first))
    gather(node)
    run_until(node, lambda: bool(room.runs(second)))
    assert set(listed) == {room.paths.directory(State.PENDING)}


def test_an_end_that_an_event_claims_and_that_is_not_there_is_none(room: Room) -> None:
    first = room.submit(room.script())
    move(room, first, "pending", "running/n2-0000000b")
    node = at_rest(room)
    second = submit_at(node, room.script(), after=[first])
    assert hear(node, "done", full_name(500, first))
    gather(node)
    moments(node)
    assert room.where(second) == ["pending"]


def test_an_end_between_two_listings_of_one_look_is_not_taken_for_a_task_that_waits(room: Room) -> None:
    first = room.submit("#!/bin/sh\n")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    assert upstream(reader, 0.0) is State.PENDING
    reader.list_names(frozenset())  # it is still there; then another node claims, runs and settles it
    move(room, first, "pending", "done")
    reader.arrived(State.DONE, full_name(500, first))
    assert upstream(reader, 1.0) is State.DONE
    assert upstream(reader, 2.0) is State.DONE


def test_the_next_of_a_queue_starts_when_another_node_frees_it(room: Room) -> None:
    other = at_rest(room, "n2")
    gate = Gate(room)
    first = submit_at(other, room.script(gate.line), queue="q")
    assert room.where(first) == ["running/n2"]
    node = at_rest(room)
    second = submit_at(node, room.script(), queue="q")
    moments(node, 12)
    assert room.where(second) == ["pending"]
    before = set(room.listing("queues"))
    gate.open()
    run_until(other, lambda: room.where(first) == ["done"])
    (freed,) = set(room.listing("queues")) - before
    assert hear(node, "queues", freed)
    gather(node)
    run_until(node, lambda: bool(room.runs(second)))


def test_the_second_end_of_a_task_that_was_retried_is_awaited_from_the_look_that_finds_it_waiting(room: Room) -> None:
    first = room.submit("#!/bin/sh\n")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    move(room, first, "pending", "done")
    assert [upstream(reader, now) for now in (0.0, 0.5)] == [State.DONE, State.DONE]
    assert first not in reader.awaited_ids
    move(room, first, "done", "pending")
    assert upstream(reader, 1.0) is State.PENDING
    assert first in reader.awaited_ids


def test_ends_that_nobody_waits_for_wake_nobody(room: Room) -> None:
    first, other = room.submit(room.script()), room.submit(room.script())
    for task in (first, other):
        move(room, task, "pending", "running/n2-0000000b")
    node = at_rest(room)
    submit_at(node, room.script(head=ON_A_GPU), after=[first], queue="q", gpus="1")
    assert [hear(node, "done", full_name(500, one)) for one in (first, other)] == [True, False]
    names = ["q.000001.free", "other.000001.free", "q.000002", "q.000002.free.x", "\udcff", "500-x"]
    assert [hear(node, "queues", name) for name in names] == [True, *[False] * 5]
    assert not any(hear(node, "failed", name) for name in names)


def test_ends_by_the_hundred_are_looked_at_together_and_leave_the_agent_most_of_its_time(room: Room) -> None:
    tasks = [room.submit(room.script()) for _ in range(100)]
    for task in tasks:
        move(room, task, "pending", "running/n2-0000000b")
    node = at_rest(room)
    submit_at(node, room.script(), after=tasks)
    moments(node, 12)
    real = NodeSide.look
    took_s = 0.05

    def slow(side: NodeSide, request: LookRequest) -> Look:
        seen = real(side, request)
        room.now += took_s  # it is known in the step after this
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NodeSide, "look", slow)
        with counted_looks() as looks:
            began = room.now
            for task in tasks[:-1]:
                move(room, task, "running/n2-0000000b", "done")
                assert hear(node, "done", full_name(500, task))
                node.step(0.01)
    share = len(looks) * took_s / (room.now - began)
    assert 0 < share <= 1.5 / (1 + REST_TIMES)


def test_ends_are_heard_of_only_once_something_waits_for_one(room: Room) -> None:
    begun: list[list[str]] = []

    def watch(directories: list[str]) -> str:
        begun.append([os.path.basename(one) for one in directories])
        return "file events are off for done/: no watch is left"

    node = at_rest(room)
    node.agent.looking._watch_ends = watch
    submit_at(node, room.script())
    submit_at(node, room.script(), gpus="1")
    moments(node, 12)
    assert begun == []
    submit_at(node, room.script(), queue="q")
    submit_at(node, room.script(), after=["20260101T000000000-abcdef-nobody.sh"])
    moments(node, 12)
    assert begun == [["done", "failed", "queues"]]
    assert sum("file events are off for done/" in line for line in node.said) == 1


def test_a_directory_that_was_made_again_is_heard_of_again(room: Room) -> None:
    begun: list[list[str]] = []

    def watch(directories: list[str]) -> str:
        begun.append([os.path.basename(one) for one in directories])
        return ""

    node = at_rest(room)
    node.agent.looking._watch_ends = watch
    submit_at(node, room.script(), after=["20260101T000000000-abcdef-nobody.sh"])
    moments(node, 12)
    (room.root / "failed").rmdir()
    node.agent.hint(str(room.root), "x", True)
    moments(node, 12)
    assert begun == [["done", "failed", "queues"], ["failed"]]


def test_what_ended_before_ends_were_heard_of_is_found_without_a_poll(room: Room) -> None:
    first = room.submit(room.script())
    move(room, first, "pending", "running/n2-0000000b")
    node = at_rest(room)

    def watch(_: list[str]) -> str:
        move(room, first, "running/n2-0000000b", "done")  # right before the watch begins
        return ""

    node.agent.looking._watch_ends = watch
    second = submit_at(node, room.script(), after=[first])
    run_until(node, lambda: bool(room.runs(second)))


def test_what_runs_here_is_known_to_run_without_a_listing_of_what_has_ended(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = room.submit("#!/bin/sh\n")
    move(room, first, "pending", "running/n1")
    room.submit("#!/bin/sh\n", after=[first])
    reader = a_reader(room)
    monkeypatch.setattr(PendingReader, "_list_settled", lambda *_: pytest.fail("it was listed"))
    (waiter,) = look(reader, running=frozenset({first})).waiting
    assert waiter.upstream == ((first, State.RUNNING),)
