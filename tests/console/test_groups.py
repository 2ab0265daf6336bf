"""Groups of tasks, and lists of one group, as records and scripts tell them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpu_queue.console.lists import pages
from gpu_queue.console.lists.groups import By
from gpu_queue.console.lists.pages import TaskLists
from gpu_queue.console.models.tasks import TaskFilter, TaskGroup
from gpu_queue.spool.filesystem import make_spool
from gpu_queue.spool.paths import SpoolPaths, full_name, make_id
from gpu_queue.spool.records import write_submission
from gpu_queue.spool.snapshot.reader import SnapshotReader
from gpu_queue.task import BatchPart, ExperimentPart, Submission

QUEUES = ("car", "bus", "")


class Queue:
    """A spool with tasks of two queues and of none, from two job files and an experiment."""

    def __init__(self, root: Path) -> None:
        self.paths = SpoolPaths(str(root / "exp"))
        previous = os.umask(0o077)
        make_spool(self.paths)
        os.umask(previous)
        self.made = 0

    def add(
        self, state: str, queue: str = "", *, is_in_script: bool = False, batch: str = "", group: str = ""
    ) -> str:
        task_id = make_id(1.7e9 + self.made, f"{self.made:06x}", b"a.sh")
        self.made += 1
        line = f"#GPUQ --queue {queue}\n" if is_in_script and queue else ""
        Path(self.paths.root, state, full_name(500, task_id)).write_text(f"#!/bin/bash\n{line}true\n")
        said = Submission(
            task_id,
            needs={"queue": queue} if queue and not is_in_script else {},
            user="bo",
            batch=BatchPart(batch, "multi", 1, 0) if batch else None,
            experiment=ExperimentPart("/x.yaml", group, "job", "run", "0a") if group else None,
        )
        write_submission(self.paths, said)
        return task_id

    def groups(self, by: By, lists: TaskLists | None = None, **wanted: str) -> dict[str, TaskGroup]:
        seen = SnapshotReader(self.paths).refresh(1000.0, everything=True)
        wish = TaskFilter.model_validate({"state": "all", **wanted})
        return {one.name: one for one in (lists or TaskLists(self.paths)).groups(seen, wish, by).groups}

    def keys(self, **wanted: str) -> list[str]:
        seen = SnapshotReader(self.paths).refresh(1000.0, everything=True)
        return TaskLists(self.paths).keys(seen, TaskFilter.model_validate({"state": "all", **wanted}))


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_each_group_counts_its_tasks_by_state_and_its_list_holds_them(queue: Queue) -> None:
    ids = [
        queue.add(
            state, name, is_in_script=number % 2 == 0, batch="/a.txt" if name == "car" else "", group=name and "lr"
        )
        for number, state in enumerate(("pending", "done", "done", "failed"))
        for name in QUEUES
    ]
    found = queue.groups("queue")
    assert list(found) == ["bus", "car", ""], "of none comes last"
    for name in QUEUES:
        counts = found[name].counts
        assert (counts.waiting, counts.running, counts.done, counts.failed) == (1, 0, 2, 1)
    assert found["car"].first == ids[0]
    assert sorted(queue.keys(queue="car")) == ids[0::3]
    assert sorted(queue.keys(without="queue")) == ids[2::3]
    (file, none) = queue.groups("batch").values()
    assert (file.title, file.mode, file.config_index, file.counts.done, none.counts.done) == (
        "/a.txt",
        "multi",
        1,
        2,
        4,
    )
    assert sorted(queue.keys(batch=file.name)) == ids[0::3]
    assert [(one.title, one.counts.failed) for one in queue.groups("experiment").values()] == [("lr", 2), ("", 1)]
    assert sorted(queue.keys(experiment="lr")) == sorted([*ids[0::3], *ids[1::3]])
    assert [one.counts.done for one in queue.groups("queue", state="done", q="a.sh").values()] == [2, 2, 2]


def test_records_are_read_once_each_and_who_asks_again_gets_on(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        queue.add(("done", "failed", "pending")[number % 3], QUEUES[number % 2])
    moments = iter(range(10**6))
    monkeypatch.setattr(pages, "READ_S", 15.0)
    lists = TaskLists(queue.paths, clock=lambda: float(next(moments)) / 4)
    seen = SnapshotReader(queue.paths).refresh(1000.0, everything=True)
    unread = [61]
    while unread[-1]:
        page = lists.groups(seen, TaskFilter(state="all"), "queue")
        assert page.tasks == 60
        assert (
            sum(one.counts.waiting + one.counts.done + one.counts.failed for one in page.groups) == 60 - page.unread
        )
        assert page.unread < unread[-1]
        unread.append(page.unread)
    assert len(unread) > 2
    for name in os.listdir(os.path.dirname(queue.paths.record("x"))):
        os.unlink(os.path.join(os.path.dirname(queue.paths.record("x")), name))
    assert lists.groups(seen, TaskFilter(state="all"), "queue").groups == page.groups
