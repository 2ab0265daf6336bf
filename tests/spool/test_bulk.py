"""The desk with many tasks at once, as somebody saw them a while ago; what it does for nodes that are named."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpu_queue.errors import SpoolError
from gpu_queue.spool.desk import bulk, explaining, find, steering, stopping
from gpu_queue.spool.desk.asking import Answer, Reply
from gpu_queue.spool.desk.find import Task
from gpu_queue.spool.desk.steering import Outcome, What
from gpu_queue.spool.paths import SpoolPaths
from gpu_queue.task import State
from tests.shell.helpers import Spool, wait_until

NODE, OTHER = "n1-00000001", "n2-00000002"


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    monkeypatch.setenv("GPU_QUEUE_PATIENCE", "1")
    return Spool(tmp_path / "exp").make()


class Heard:
    """What was told, in this order."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[Task, Outcome]] = []
        self.answers: list[Answer] = []

    def told(self, task: Task, outcome: Outcome) -> None:
        self.outcomes.append((task, outcome))

    @property
    def whats(self) -> dict[str, str]:
        return {task.plain_title: outcome.what.value for task, outcome in self.outcomes}


def paths_of(spool: Spool) -> SpoolPaths:
    return SpoolPaths(str(spool.path))


def waiting(*names: str) -> list[Task]:
    return [Task(State.PENDING, name) for name in names]


def test_each_that_is_meant_is_told_of_once_whatever_became_of_it(spool: Spool) -> None:
    names = [spool.add("pending", f"{title}.sh") for title in "abcd"]
    spool.move(names[1], "pending", f"running/{NODE}")
    spool.move(names[2], "pending", "done")
    os.unlink(spool.path / "pending" / names[3])
    heard = Heard()
    bulk.cancel_these(paths_of(spool), [*waiting(*names), *waiting("by hand.sh")], heard.told)
    assert heard.whats == {"a.sh": "done", "b.sh": "gone", "c.sh": "gone", "d.sh": "gone", "by hand.sh": "gone"}
    assert len(heard.outcomes) == 5
    assert spool.names("failed") == [names[0]]


def test_the_queues_of_what_was_cancelled_are_freed(spool: Spool) -> None:
    name = spool.add("pending", "a.sh")
    (spool.path / "queues" / "car.000001").write_text(f"{name[4:]}\n{NODE}\n0a0b0c\n")
    bulk.cancel_these(paths_of(spool), waiting(name), Heard().told)
    assert spool.names("queues") == ["car.000001.free"]


def test_a_cancel_that_loses_each_rename_to_another_looks_anew_and_goes_on(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [spool.add("pending", f"{number}.sh") for number in range(50)]
    real = os.rename

    def faster(source: str, target: str) -> None:
        if source.endswith(names[10]):  # somebody else takes half of them in this moment
            for name in names[10:35]:
                real(spool.path / "pending" / name, spool.path / "done" / name)
        real(source, target)

    monkeypatch.setattr(os, "rename", faster)
    looks: list[str] = []
    real_listed = find.listed

    def listed(directory: str) -> list[str]:
        looks.append(directory)
        return real_listed(directory)

    monkeypatch.setattr(find, "listed", listed)
    heard = Heard()
    bulk.cancel_these(paths_of(spool), waiting(*names), heard.told)
    assert sorted(outcome.what.value for _, outcome in heard.outcomes) == ["done"] * 25 + ["gone"] * 25
    assert len(spool.names("failed")) == 25
    assert len(looks) < 30, "one look for all, not one for each"


def test_a_task_that_another_takes_between_two_looks_at_it_is_no_strange_file(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = spool.add("pending", "a.sh")
    path = str(spool.path / "pending" / name)
    real = os.lstat

    def taken_after_it(asked: str) -> os.stat_result:
        facts = real(asked)
        if asked == path:
            os.rename(path, spool.path / "failed" / name)
        return facts

    monkeypatch.setattr(os, "lstat", taken_after_it)
    assert steering.cancel(paths_of(spool), Task(State.PENDING, name)).what is What.DONE


def test_priorities_are_each_their_own_and_only_as_they_were_seen(spool: Spool) -> None:
    one, two = spool.add("pending", "one.sh"), spool.add("pending", "two.sh", priority=400)
    os.rename(spool.path / "pending" / two, spool.path / "pending" / f"399-{two[4:]}")
    heard = Heard()
    wanted = {Task(State.PENDING, one): 1, Task(State.PENDING, two): 2}
    bulk.set_priorities_of(paths_of(spool), wanted, heard.told, only_as_seen=True)
    assert heard.whats == {"one.sh": "done", "two.sh": "refused"}
    assert spool.names("pending") == [f"001-{one[4:]}", f"399-{two[4:]}"]
    bulk.set_priorities_of(paths_of(spool), wanted, heard.told)
    assert f"002-{two[4:]}" in spool.names("pending")


def test_storage_that_cannot_be_listed_ends_it_and_what_was_told_is_so(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(directory: str) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(find, "listing", broken)
    with pytest.raises(SpoolError):
        bulk.retry_these(paths_of(spool), [Task(State.FAILED, spool.add("failed", "a.sh"))], Heard().told)


def test_what_runs_is_stopped_and_each_answer_heard_as_it_comes(spool: Spool) -> None:
    runs = [spool.add(f"running/{NODE}", f"{number}.sh") for number in range(2)]
    ended = spool.add("done", "ended.sh")
    claims = [Task(State.RUNNING, name, NODE) for name in spool.names(f"running/{NODE}")]
    gone = Task(State.RUNNING, f"{ended}.try1.0a0b0c", NODE)
    spool.node(NODE)
    heard = Heard()
    with ThreadPoolExecutor() as pool:
        work = pool.submit(bulk.stop_all_of, paths_of(spool), [*claims, gone], heard.told, heard.answers.append)
        wait_until(spool.commands)
        for name in runs:
            spool.move(name, f"running/{NODE}", "failed")
        spool.answer(spool.commands()[0][0], NODE, "stopped")
        work.result(30)
    assert heard.whats == {"0.sh": "done", "1.sh": "done", "ended.sh": "gone"}
    assert [(one.node, one.reply) for one in heard.answers] == [(NODE, Reply.ANSWERED)]


def test_only_the_agent_that_is_named_is_shut_down_and_the_queue_is_kept(spool: Spool) -> None:
    (spool.path / "allocations").mkdir()
    (spool.path / "allocations" / "keep").write_text("slots 2\n")
    spool.node(NODE)
    spool.node(OTHER)
    answers: list[Answer] = []
    with ThreadPoolExecutor() as pool:
        meant = {NODE: f"{NODE}1", OTHER: "another incarnation"}
        work = pool.submit(
            stopping.shut_down, paths_of(spool), wait=True, nodes=meant, unkeep=False, answered=answers.append
        )
        wait_until(spool.commands)
        ((entry, command),) = spool.commands()
        assert command["to"] == [f"{NODE}/{NODE}1"]
        spool.answer(entry, NODE, "shuts down")
        assert [one.node for one in work.result(20)] == [NODE]
    assert [one.node for one in answers] == [NODE]
    assert (spool.path / "allocations" / "keep").exists()


def test_two_hundred_are_explained_by_one_command(spool: Spool) -> None:
    tasks = waiting(*(spool.add("pending", f"{number}.sh") for number in range(200)))
    spool.node(NODE)
    with ThreadPoolExecutor() as pool:
        work = pool.submit(explaining.explain_each, paths_of(spool), tasks)
        wait_until(spool.commands)
        ((entry, command),) = spool.commands()
        assert len(command["tasks"]) == 200
        spool.answer(entry, NODE, "\n".join(f"{task.name}: waits" for task in tasks[:150]))
        found = work.result(30)
    assert [one.task for one in found] == tasks
    assert [len(one.lines) for one in found] == [1] * 150 + [0] * 50
    assert found[0].lines == (f"{NODE}: waits",)


def test_nobody_to_ask_is_told_of_each(spool: Spool) -> None:
    tasks = waiting(spool.add("pending", "a.sh"))
    (one,) = explaining.explain_each(paths_of(spool), tasks)
    assert one.lines == ("no agent is alive; start one with ./submit.sh",)


def test_a_flag_is_put_back_byte_for_byte(spool: Spool) -> None:
    paths = paths_of(spool)
    (spool.path / "paused").write_bytes(b"bob@n1: mine \xff\n")
    before = steering.read_flag(paths, "paused")
    steering.raise_flag(paths, "paused", "ours")
    steering.put_flag(paths, "paused", before)
    assert (spool.path / "paused").read_bytes() == b"bob@n1: mine \xff\n"
    steering.put_flag(paths, "paused", None)
    assert steering.read_flag(paths, "paused") is None
