"""What became of the tasks of each serial queue: counted by the node that settles, and by what lies in failed/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.spool import tallies
from gpu_queue.spool.paths import full_name
from gpu_queue.spool.store import listing
from gpu_queue.spool.tallies import LOOK_EVERY_S, Tallies, is_named
from gpu_queue.task import State
from tests.node.harness import Room


class Counting:
    """The tallies of a spool whose tasks are moved by hand."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.now = 0.0
        self.made = 0

    def settle(self, one: Tallies, queue: str | None, state: State) -> str:
        self.made += 1
        task_id = f"20261123T014415{self.made:03d}-abcdef-x.sh"
        self.path(task_id, state).touch()
        one.add(queue, task_id, state)
        return task_id

    def path(self, task_id: str, state: State) -> Path:
        return Path(self.room.paths.directory(state), full_name(500, task_id))

    def counts(self, one: Tallies) -> dict[str, tuple[int, int]]:
        """After the time in which others' news are seen."""
        self.now += LOOK_EVERY_S
        return {queue: (tally.done, len(tally.failed)) for queue, tally in one.look(self.now).items()}


@pytest.fixture
def counting(room: Room) -> Counting:
    return Counting(room)


def tallies_of(counting: Counting, node: str) -> Tallies:
    return Tallies(counting.room.paths, node)


def test_a_queue_counts_what_is_done_and_what_has_failed(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    for queue, state in (("car", State.DONE), ("car", State.DONE), ("car", State.FAILED), ("bird", State.FAILED)):
        counting.settle(one, queue, state)
    counting.settle(one, None, State.DONE)
    assert counting.counts(one) == {"car": (2, 1), "bird": (0, 1)}


def test_a_successor_goes_on_where_a_killed_agent_stopped(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    counting.settle(one, "car", State.DONE)
    counting.settle(one, "car", State.FAILED)
    path = counting.room.paths.tally("n1")
    with open(path, "ab") as file:
        file.write(b'{"queue": "car", "id": "2026')  # torn
    after = tallies_of(counting, "n1")
    assert counting.counts(after) == {"car": (1, 1)}
    counting.settle(after, "car", State.DONE)
    assert counting.counts(after) == {"car": (2, 1)}
    assert counting.counts(tallies_of(counting, "n1")) == {"car": (2, 1)}


def test_two_nodes_count_together(counting: Counting) -> None:
    one, other = tallies_of(counting, "n1"), tallies_of(counting, "n2")
    counting.settle(one, "car", State.DONE)
    assert counting.counts(other) == {"car": (1, 0)}
    counting.settle(other, "car", State.DONE)
    counting.settle(other, "car", State.FAILED)
    assert counting.counts(one) == counting.counts(other) == {"car": (2, 1)}


def test_what_is_retried_has_not_failed_and_counts_where_it_ends(counting: Counting) -> None:
    one, other = tallies_of(counting, "n1"), tallies_of(counting, "n2")
    failed = counting.settle(one, "car", State.FAILED)
    assert counting.counts(one) == {"car": (0, 1)}
    counting.path(failed, State.FAILED).rename(counting.path(failed, State.PENDING))
    counting.now += tallies.RELIST_AFTER_S
    assert counting.counts(one) == counting.counts(other) == {}
    counting.path(failed, State.PENDING).rename(counting.path(failed, State.DONE))
    other.add("car", failed, State.DONE)
    assert counting.counts(one) == counting.counts(other) == {"car": (1, 0)}


def test_a_task_that_fails_again_has_failed_once(counting: Counting) -> None:
    one, other = tallies_of(counting, "n1"), tallies_of(counting, "n2")
    failed = counting.settle(one, "car", State.FAILED)
    other.add("car", failed, State.FAILED)
    assert counting.counts(one) == {"car": (0, 1)}


def test_what_is_forgotten_has_not_failed_any_more_and_what_is_done_stays_counted(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    done, failed = counting.settle(one, "car", State.DONE), counting.settle(one, "car", State.FAILED)
    counting.path(done, State.DONE).unlink()
    counting.path(failed, State.FAILED).unlink()
    counting.now += tallies.RELIST_AFTER_S
    assert counting.counts(one) == {"car": (1, 0)}


def test_the_queues_of_an_array_are_nobodys_names(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    counting.settle(one, "20261123T014415123-4f0c2a.1", State.DONE)
    assert counting.counts(one) == {}
    assert not os.path.exists(counting.room.paths.tally("n1"))
    assert is_named("command_gpu_1-a1b2c3.1")


def test_a_long_tally_is_written_anew_and_says_the_same(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "WRITE_ANEW_BYTES", 2000)
    one, other = tallies_of(counting, "n1"), tallies_of(counting, "n2")
    for number in range(90):
        counting.settle(one, f"q{number % 3}", State.FAILED if number % 10 == 0 else State.DONE)
        if number == 40:
            counting.counts(other)
    assert os.path.getsize(counting.room.paths.tally("n1")) < 4000
    expected = {"q0": (27, 3), "q1": (27, 3), "q2": (27, 3)}
    assert counting.counts(one) == counting.counts(other) == expected
    assert counting.counts(tallies_of(counting, "n1")) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\x00" * 100,
        b'{"queue": "car", "id": 7, "to": "failed"}\n{"queue": 3, "id": "x", "to": "done"}\n[]\n{"queue": ""}\n',
        b'{"queue": "car", "done": -4, "failed": {"a": 1}}\n{"queue": "car", "failed": [1, "../x"]}\n'
        + b"[" * 100_000,
    ],
)
def test_what_others_wrote_into_a_tally_hinders_nothing(counting: Counting, content: bytes) -> None:
    one = tallies_of(counting, "n1")
    counting.settle(one, "bird", State.DONE)
    Path(counting.room.paths.tally("n2")).write_bytes(content)
    os.mkfifo(counting.room.paths.tally("n3"))
    os.symlink("/etc/passwd", counting.room.paths.tally("n4"))
    assert counting.counts(one)["bird"] == (1, 0)
    assert counting.counts(one).get("car", (0, 0)) == (0, 0)


def test_nothing_new_is_the_same_object(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    counting.settle(one, "car", State.DONE)
    assert one.look(100.0) is one.look(200.0)


def test_a_disk_that_takes_nothing_costs_the_count_after_a_restart_and_nothing_else(counting: Counting) -> None:
    one = tallies_of(counting, "n1")
    os.symlink("/nowhere/at/all", counting.room.paths.tally("n1"))
    counting.settle(one, "car", State.DONE)
    assert counting.counts(one) == {"car": (1, 0)}


def test_where_nothing_changes_nothing_is_listed(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    one, listed = tallies_of(counting, "n1"), list[str]()

    def counted(path: str) -> list[str]:
        listed.append(path)
        return listing(path)

    monkeypatch.setattr(f"{tallies.__name__}.listing", counted)
    queues = counting.room.paths.queues
    os.utime(queues, (0, 0))
    for _ in range(5):
        counting.counts(one)
    assert listed == [queues], "an idle agent of a server without queues lists no more than it did"
    counting.settle(tallies_of(counting, "n2"), "car", State.DONE)
    assert counting.counts(one) == {"car": (1, 0)}
    counting.now += tallies.RELIST_AFTER_S
    listed.clear()
    counting.counts(one)
    assert listed == [queues], "NFS may show an old mtime"
